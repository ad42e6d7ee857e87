//! What every layer must do. Each behaviour is one function; the modules at the end run all of
//! them on each layer.

use std::sync::Arc;

use anyhow::Result;
use bytes::Bytes;
use fanfare_layer::{Publish, PublishError, State};
use fanfare_protocol::{Envelope, Event, SerializeError, Value};
use fanfare_rig::within;

use crate::clusters::*;
use crate::queues::*;
use crate::support::{Cluster, SOON, group, numbered, numbers, subscription};

async fn a_group_keeps_the_order_of_its_publishes(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    node.subscribe(&["room"]).await?;
    for number in 0..1000 {
        // Not awaited one by one: the order is that of the calls.
        let step = node
            .layer
            .publish(group("room"), Arc::new(numbered(number).into()));
        assert!(
            !matches!(step, Publish::Full(_)),
            "{number} publishes fill the pipeline"
        );
    }
    let arrived = node.arrivals.first(1000).await?;
    assert_eq!(numbers(&arrived), (0..1000).collect::<Vec<_>>());
    assert!(
        arrived
            .iter()
            .all(|delivery| delivery.target == group("room"))
    );
    Ok(())
}

async fn a_full_layer_loses_nothing_and_keeps_the_order(cluster: Cluster) -> Result<()> {
    let cluster = cluster.narrow();
    let node = cluster.node().await?;
    node.subscribe(&["room"]).await?;
    let mut was_full = 0;
    for number in 0..500 {
        let mut step = node
            .layer
            .publish(group("room"), Arc::new(numbered(number).into()));
        while let Publish::Full(room) = step {
            was_full += 1;
            step = within(SOON, "room", room).await?;
        }
    }
    assert!(was_full > 0, "it was never full, so nothing is shown");
    let arrived = node.arrivals.first(500).await?;
    assert_eq!(numbers(&arrived), (0..500).collect::<Vec<_>>());
    Ok(())
}

async fn a_channel_gets_what_is_sent_to_it(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    for session in ["0000000000000001", "0000000000000002"] {
        let channel = node.channel(session)?;
        node.publish(&channel, numbered(1)).await?;
    }
    let mut targets: Vec<_> = node
        .arrivals
        .first(2)
        .await?
        .into_iter()
        .map(|delivery| delivery.target)
        .collect();
    targets.sort_by_key(|target| format!("{target:?}"));
    let expected = [
        node.channel("0000000000000001")?,
        node.channel("0000000000000002")?,
    ];
    assert_eq!(targets, expected);
    Ok(())
}

async fn an_envelope_arrives_as_it_was_published(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    node.subscribe(&["room"]).await?;
    let fanfare_protocol::Target::Channel(excluded) = node.channel("0000000000000001")? else {
        unreachable!("a channel");
    };
    let event = Event::new("chat.message")
        .with("message", "gr\u{fc}\u{df}e")
        .with("half", 0.5)
        .with("list", vec![Value::Nil, Value::Bool(true), Value::Int(-1)]);
    let with_bytes = event.clone().with("body", Bytes::from_static(b"\x00\xff"));
    let event = if cluster.is_json() {
        // JSON has no bytes, which its publisher is told.
        let refused = node.publish(&group("room"), with_bytes).await.unwrap_err();
        let field = "body".into();
        let reason = PublishError::Unserializable(SerializeError::Bytes { field });
        assert_eq!(refused.downcast::<PublishError>()?, reason);
        event
    } else {
        with_bytes
    };
    let envelope = Envelope::excluding(event, vec![excluded]);
    node.layer
        .publish(group("room"), Arc::new(envelope.clone()))
        .confirmed()
        .await?;
    assert_eq!(*node.arrivals.first(1).await?[0].envelope, envelope);
    Ok(())
}

async fn leaving_a_group_that_was_never_joined_is_no_error(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    node.leave("never-joined").await?;
    node.subscribe(&["room"]).await?;
    node.publish(&group("room"), numbered(1)).await?;
    assert_eq!(numbers(&node.arrivals.first(1).await?), [1]);
    Ok(())
}

async fn what_is_published_is_counted(cluster: Cluster) -> Result<()> {
    let node = cluster.node().await?;
    for number in 0..3 {
        node.publish(&group("room"), numbered(number)).await?;
    }
    assert_eq!(node.metric("fanfare_layer_published_total", ""), 3.0);
    assert_eq!(node.metric("fanfare_layer_up", ""), 1.0);
    Ok(())
}

async fn a_closed_layer_publishes_what_it_took_and_refuses_the_rest(
    cluster: Cluster,
) -> Result<()> {
    let node = cluster.node().await?;
    let taken: Vec<_> = (0..100)
        .map(|number| {
            node.layer
                .publish(group("room"), Arc::new(numbered(number).into()))
        })
        .collect();
    let closed = node.layer.close();
    let refused = node
        .layer
        .publish(group("room"), Arc::new(numbered(100).into()));
    assert!(matches!(refused, Publish::Done(Err(PublishError::Closed))));
    within(SOON, "the close", closed).await?;
    for publish in taken {
        assert_eq!(publish.confirmed().await, Ok(()));
    }
    within(SOON, "the second close", node.layer.close()).await?;
    let late = node.layer.subscribe(vec![subscription("room")]);
    assert!(within(SOON, "the subscription", late).await?.is_err());
    assert_eq!(node.layer.status().borrow().state, State::Down);
    assert_eq!(
        node.metric("fanfare_layer_publish_failures_total", "closed"),
        1.0
    );
    Ok(())
}

macro_rules! conforms {
    ([$($behaviour:ident),+ $(,)?] $layer:ident $cluster:expr) => {
        mod $layer {
            use super::Cluster;
            $(
                #[tokio::test]
                async fn $behaviour() -> anyhow::Result<()> {
                    super::$behaviour($cluster).await
                }
            )+
        }
    };
    (all: $($layer:ident = $cluster:expr;)+) => {
        $(conforms!([
            a_group_keeps_the_order_of_its_publishes,
            a_full_layer_loses_nothing_and_keeps_the_order,
            a_channel_gets_what_is_sent_to_it,
            an_envelope_arrives_as_it_was_published,
            leaving_a_group_that_was_never_joined_is_no_error,
            what_is_published_is_counted,
            a_closed_layer_publishes_what_it_took_and_refuses_the_rest,
            a_message_to_a_normal_channel_is_received,
            a_receiver_that_waits_already_gets_the_message,
            a_message_waits_for_a_receiver_that_comes_later,
            a_full_channel_keeps_what_it_has_and_says_so,
            a_channel_of_this_node_alone_is_received_from,
            messages_of_a_channel_keep_their_order,
            an_old_message_is_dropped_and_counted,
            every_message_goes_to_one_of_the_receivers,
            a_receiver_that_goes_leaves_the_rest_to_the_others,
            a_receive_that_is_given_up_loses_nothing,
            closed_queues_give_out_what_they_have_and_end,
        ] $layer $cluster);)+
    };
    // One process has no second node, no connections and no stream; who of it is in which group is
    // known to its directory and not to the memory layer.
    (redis: $($layer:ident = $cluster:expr;)+) => {
        mod between_nodes {
            use super::*;
            $(conforms!([
                who_has_left_a_group_hears_no_more_of_it,
                nodes_hear_the_groups_they_want_and_only_their_own_channels,
                a_message_for_a_worker_elsewhere_is_received,
                who_receives_from_a_channel_on_two_nodes_gets_what_the_format_promises,
                a_lost_connection_changes_no_membership,
                a_reader_that_dies_is_followed_by_another_without_a_loss,
                publishers_on_many_threads_keep_each_their_own_order,
                integers_beyond_64_bits_signed_are_read,
                a_layer_that_is_dropped_leaves_no_connection,
            ] $layer $cluster);)+
        }
    };
}

conforms! {
    all:
    memory = Cluster::memory();
    pubsub = Cluster::pubsub(1)?;
    pubsub_on_three_hosts = Cluster::pubsub(3)?;
    pubsub_with_secret_json = Cluster::pubsub(1)?.secret_json();
    core = Cluster::core(1)?;
    core_on_three_hosts = Cluster::core(3)?;
    core_with_secret_json = Cluster::core(1)?.secret_json();
}

conforms! {
    redis:
    pubsub = Cluster::pubsub(1)?;
    pubsub_on_three_hosts = Cluster::pubsub(3)?;
    pubsub_with_secret_json = Cluster::pubsub(1)?.secret_json();
    core = Cluster::core(1)?;
    core_on_three_hosts = Cluster::core(3)?;
    core_with_secret_json = Cluster::core(1)?.secret_json();
}
