//! Unmodified Python beside Fanfare: every direction, in every configuration of channels_redis.
//!
//! Each test has the Redis servers of one configuration, two nodes of Fanfare, a Python process
//! with a layer, and a `runworker` in another. With encryption a rotation of keys is under way:
//! both sides know both keys, and each encrypts with the other's second.

mod direct;
mod groups;
mod memberships;
mod metadata;
mod scene;
mod workers;

use anyhow::{Context, Result};
use fanfare_rig::{PythonBackend, RedisPy};

use scene::Scene;

/// What channels_redis and Fanfare agree on.
#[derive(Debug, Clone, Copy)]
struct Configuration {
    backend: PythonBackend,
    serializer: &'static str,
    encrypted: bool,
    hosts: usize,
    python: RedisPy,
}

/// Runs the given directions one after the other on one scene.
macro_rules! walk {
    ($scene:ident: $($area:ident::$direction:ident),+ $(,)?) => {
        $($area::$direction(&mut $scene).await.context(stringify!($direction))?;)+
    };
}

async fn every_direction(configuration: Configuration) -> Result<()> {
    let mut scene = Scene::set(configuration).await?;
    walk!(scene:
        groups::a_python_group_send_reaches_the_sockets_of_every_node,
        groups::a_python_group_send_reaches_everyone_and_one_user,
        groups::what_a_socket_says_reaches_sockets_and_python_members_once,
        groups::what_python_says_reaches_sockets_and_python_members_once,
        direct::a_python_send_reaches_one_socket,
        direct::a_message_reaches_one_python_channel,
        memberships::python_adds_a_session_to_a_group_if_its_layer_can,
        memberships::a_session_that_joined_and_was_added_too_hears_its_group_twice,
        memberships::a_python_group_discard_leaves_a_session_in_its_groups,
        metadata::what_a_browser_puts_into_a_python_event_is_data,
        metadata::python_excludes_a_channel_with_a_key_of_bytes,
        workers::a_python_worker_gets_what_a_rust_program_sends,
        workers::a_python_worker_answers_a_session_whose_channel_was_stored,
        workers::a_python_worker_announces_to_a_group,
        workers::a_rust_worker_gets_what_python_sends,
    );
    Ok(())
}

macro_rules! matrix {
    ($($name:ident: $backend:ident, $serializer:literal, $encrypted:literal, $hosts:literal, $python:ident;)+) => {
        $(#[tokio::test]
        async fn $name() -> anyhow::Result<()> {
            super::every_direction(super::Configuration {
                backend: fanfare_rig::PythonBackend::$backend,
                serializer: $serializer,
                encrypted: $encrypted,
                hosts: $hosts,
                python: fanfare_rig::RedisPy::$python,
            })
            .await
        })+
    };
}

mod every_direction_works {
    matrix! {
        on_pubsub_with_msgpack_on_1_host_and_redis_py_5: PubSub, "msgpack", false, 1, V5;
        on_pubsub_with_msgpack_on_1_host_and_the_newest_redis_py: PubSub, "msgpack", false, 1, Newest;
        on_pubsub_with_msgpack_on_3_hosts_and_redis_py_5: PubSub, "msgpack", false, 3, V5;
        on_pubsub_with_msgpack_on_3_hosts_and_the_newest_redis_py: PubSub, "msgpack", false, 3, Newest;
        on_pubsub_with_encrypted_msgpack_on_1_host_and_redis_py_5: PubSub, "msgpack", true, 1, V5;
        on_pubsub_with_encrypted_msgpack_on_1_host_and_the_newest_redis_py: PubSub, "msgpack", true, 1, Newest;
        on_pubsub_with_encrypted_msgpack_on_3_hosts_and_redis_py_5: PubSub, "msgpack", true, 3, V5;
        on_pubsub_with_encrypted_msgpack_on_3_hosts_and_the_newest_redis_py: PubSub, "msgpack", true, 3, Newest;
        on_pubsub_with_json_on_1_host_and_redis_py_5: PubSub, "json", false, 1, V5;
        on_pubsub_with_json_on_1_host_and_the_newest_redis_py: PubSub, "json", false, 1, Newest;
        on_pubsub_with_json_on_3_hosts_and_redis_py_5: PubSub, "json", false, 3, V5;
        on_pubsub_with_json_on_3_hosts_and_the_newest_redis_py: PubSub, "json", false, 3, Newest;
        on_pubsub_with_encrypted_json_on_1_host_and_redis_py_5: PubSub, "json", true, 1, V5;
        on_pubsub_with_encrypted_json_on_1_host_and_the_newest_redis_py: PubSub, "json", true, 1, Newest;
        on_pubsub_with_encrypted_json_on_3_hosts_and_redis_py_5: PubSub, "json", true, 3, V5;
        on_pubsub_with_encrypted_json_on_3_hosts_and_the_newest_redis_py: PubSub, "json", true, 3, Newest;
        on_core_with_msgpack_on_1_host_and_redis_py_5: Core, "msgpack", false, 1, V5;
        on_core_with_msgpack_on_1_host_and_the_newest_redis_py: Core, "msgpack", false, 1, Newest;
        on_core_with_msgpack_on_3_hosts_and_redis_py_5: Core, "msgpack", false, 3, V5;
        on_core_with_msgpack_on_3_hosts_and_the_newest_redis_py: Core, "msgpack", false, 3, Newest;
        on_core_with_encrypted_msgpack_on_1_host_and_redis_py_5: Core, "msgpack", true, 1, V5;
        on_core_with_encrypted_msgpack_on_1_host_and_the_newest_redis_py: Core, "msgpack", true, 1, Newest;
        on_core_with_encrypted_msgpack_on_3_hosts_and_redis_py_5: Core, "msgpack", true, 3, V5;
        on_core_with_encrypted_msgpack_on_3_hosts_and_the_newest_redis_py: Core, "msgpack", true, 3, Newest;
        on_core_with_json_on_1_host_and_redis_py_5: Core, "json", false, 1, V5;
        on_core_with_json_on_1_host_and_the_newest_redis_py: Core, "json", false, 1, Newest;
        on_core_with_json_on_3_hosts_and_redis_py_5: Core, "json", false, 3, V5;
        on_core_with_json_on_3_hosts_and_the_newest_redis_py: Core, "json", false, 3, Newest;
        on_core_with_encrypted_json_on_1_host_and_redis_py_5: Core, "json", true, 1, V5;
        on_core_with_encrypted_json_on_1_host_and_the_newest_redis_py: Core, "json", true, 1, Newest;
        on_core_with_encrypted_json_on_3_hosts_and_redis_py_5: Core, "json", true, 3, V5;
        on_core_with_encrypted_json_on_3_hosts_and_the_newest_redis_py: Core, "json", true, 3, Newest;
    }
}

#[tokio::test]
async fn python_takes_a_session_out_of_a_group_where_every_session_is_a_member() -> Result<()> {
    let configuration = Configuration {
        backend: PythonBackend::Core,
        serializer: "msgpack",
        encrypted: false,
        hosts: 3,
        python: RedisPy::Newest,
    };
    let mut scene = Scene::with(configuration, &[("layer.core.members", "session")]).await?;
    walk!(scene:
        groups::a_python_group_send_reaches_the_sockets_of_every_node,
        groups::what_a_socket_says_reaches_sockets_and_python_members_once,
        memberships::a_python_group_discard_takes_a_session_out_of_its_group,
        memberships::python_adds_a_session_to_a_group_if_its_layer_can,
    );
    Ok(())
}
