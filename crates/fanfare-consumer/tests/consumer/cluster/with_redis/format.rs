//! Clusters over Redis in another format than the default.

use std::time::Duration;

use anyhow::Result;
use fanfare_consumer::{
    Cluster, ClusterError, ClusterOptions, CoreFormat, Layer, MembershipMode, Notation,
    RedisFormat, RedisLayer, SendError,
};
use fanfare_layer::PublishError;
use fanfare_protocol::{Event, SerializeError, Value};
use fanfare_rig::{PythonLayer, RedisServer, eventually};
use serde_json::json;

use super::super::rig::{Listener, PATIENCE, flash};

/// Groups that Python can name on pub/sub only.
const NAMES: [&str; 3] = ["user:42", "café", "ann@example.com"];

/// A cluster over a layer.
fn over(redis: RedisLayer) -> Result<Cluster, ClusterError> {
    Cluster::new(ClusterOptions {
        layer: Layer::Redis(redis),
        ..ClusterOptions::default()
    })
}

/// The core format in JSON, encrypted.
fn secret_core(server: &RedisServer, core: CoreFormat) -> Result<RedisLayer> {
    Ok(RedisLayer {
        serializer: Notation::Json,
        symmetric_encryption_keys: vec!["s3cret".to_owned()],
        format: RedisFormat::Core(core),
        ..RedisLayer::new([server.url()])?
    })
}

/// What a cluster with these options says is wrong.
fn refusal(change: impl FnOnce(&mut RedisLayer, &mut CoreFormat)) -> String {
    let mut redis = RedisLayer::new(["redis://localhost"]).expect("a URL");
    let mut core = CoreFormat::default();
    change(&mut redis, &mut core);
    redis.format = RedisFormat::Core(core);
    let error = over(redis).expect_err("refused");
    assert!(matches!(error, ClusterError::RedisOption { .. }), "{error}");
    error.to_string()
}

fn two_on_core(server: &RedisServer, members: MembershipMode) -> Result<(Cluster, Cluster)> {
    let core = CoreFormat {
        members,
        ..CoreFormat::default()
    };
    Ok((
        over(secret_core(server, core.clone())?)?,
        over(secret_core(server, core)?)?,
    ))
}

#[actix_web::test]
async fn two_programs_meet_in_the_core_format_in_encrypted_json() -> Result<()> {
    let server = RedisServer::start()?;
    for members in [MembershipMode::PerNode, MembershipMode::PerSession] {
        let (one, two) = two_on_core(&server, members)?;
        let mut listener = Listener::in_group(&one, "room").await;
        two.group_send("room", &flash("there")).await?;
        assert_eq!(listener.text().await, "there");
        two.broadcast(&flash("everywhere")).await?;
        assert_eq!(listener.text().await, "everywhere");
        let channel = listener.member.channel().to_string();
        assert!(channel.starts_with("specific."), "{channel}");
        two.send(&channel, &flash("to one")).await?;
        assert_eq!(listener.text().await, "to one");
        one.close().await;
        two.close().await;
    }
    Ok(())
}

#[actix_web::test]
async fn what_the_serializer_cannot_write_comes_back_to_who_publishes_it() -> Result<()> {
    let server = RedisServer::start()?;
    let cluster = over(secret_core(&server, CoreFormat::default())?)?;
    let mut listener = Listener::in_group(&cluster, "room").await;
    let event = Event::new("file").with("body", Value::Bin(vec![1, 2].into()));
    let error = cluster.group_send("room", &event).await.unwrap_err();
    let field = "body".to_owned();
    let expected = PublishError::Unserializable(SerializeError::Bytes { field });
    assert_eq!(error, SendError::Layer(expected));
    cluster.group_send("room", &flash("text")).await?;
    assert_eq!(listener.text().await, "text");
    Ok(())
}

#[actix_web::test]
async fn a_full_channel_comes_back_to_who_publishes() -> Result<()> {
    let server = RedisServer::start()?;
    let core = CoreFormat {
        channel_capacity: vec![("work*".to_owned(), 1)],
        ..CoreFormat::default()
    };
    let cluster = over(secret_core(&server, core)?)?;
    cluster.send("work", &flash("taken")).await?;
    let error = cluster.send("work", &flash("refused")).await.unwrap_err();
    let full = matches!(error, SendError::Layer(PublishError::ChannelFull { .. }));
    assert!(full, "{error}");
    cluster.send("other", &flash("taken")).await?;
    cluster.send("other", &flash("taken too")).await?;
    Ok(())
}

#[actix_web::test]
async fn a_wrong_option_of_the_redis_layer_is_named() {
    let too_large = "*[a-z]".repeat(100_000);
    let pairs = |second: &str, number| vec![("a".to_owned(), 1), (second.to_owned(), number)];
    let message = refusal(|redis, _| {
        redis.symmetric_encryption_keys = vec!["s3cret".to_owned(), String::new()];
    });
    let part = "symmetric_encryption_keys[1] of the Redis layer is empty";
    assert!(
        message.contains(part) && !message.contains("s3cret"),
        "{message}"
    );
    let message = refusal(|_, core| core.capacity = 0);
    assert!(message.contains("option capacity"), "{message}");
    let message = refusal(|_, core| core.channel_capacity = pairs("b", 0));
    assert!(message.contains("channel_capacity[1]"), "{message}");
    let message = refusal(|_, core| core.channel_capacity = pairs(&too_large, 1));
    assert!(message.contains("channel_capacity[1]"), "{message:.200}");
    for wrong in [0, 999, 1500] {
        let wrong = Duration::from_millis(wrong);
        let message = refusal(|_, core| core.expiry = wrong);
        assert!(message.contains("option expiry"), "{message}");
        let message = refusal(|_, core| core.group_expiry = wrong);
        assert!(message.contains("option group_expiry"), "{message}");
    }
}

#[actix_web::test]
async fn a_redis_layer_shows_no_secret() -> Result<()> {
    let redis = RedisLayer {
        symmetric_encryption_keys: vec!["s3cret".to_owned()],
        ..RedisLayer::new(["redis://:pa55@localhost"])?
    };
    let shown = format!("{redis:?}");
    assert!(
        !shown.contains("s3cret") && !shown.contains("pa55"),
        "{shown}"
    );
    Ok(())
}

#[actix_web::test]
async fn on_pubsub_any_group_name_is_the_same_group_in_python_and_here_with_python() -> Result<()> {
    let server = RedisServer::start()?;
    let one = over(RedisLayer::new([server.url()])?)?;
    let mut python = PythonLayer::start(&[&server.url()]).await?;
    for name in NAMES {
        let mut listener = Listener::in_group(&one, name).await;
        let channel = python.join(name).await?;
        // Python does not wait for Redis to acknowledge its SUBSCRIBE.
        for (of, count) in [(&*format!("asgi__group__{name}"), 2), (&*channel, 1)] {
            eventually(PATIENCE, "the subscribers", async || {
                let now = server.cli(&["PUBSUB", "NUMSUB", of])?;
                let (_, now): (String, usize) = redis::from_redis_value(now)?;
                Ok((now == count).then_some(()))
            })
            .await?;
        }
        python
            .group_send(name, &json!({"type": "news.flash", "text": "from Python"}))
            .await?;
        assert_eq!(listener.text().await, "from Python");
        let event = json!({"type": "news.flash", "text": "from Rust"});
        one.group_send(name, &event).await?;
        assert_eq!(listener.text().await, "from Rust");
        python.receive(&channel).await?;
        assert_eq!(python.receive(&channel).await?, event);
    }
    one.close().await;
    Ok(())
}

#[actix_web::test]
async fn on_core_any_group_name_is_the_same_group_in_two_programs() -> Result<()> {
    let server = RedisServer::start()?;
    for members in [MembershipMode::PerNode, MembershipMode::PerSession] {
        let (one, two) = two_on_core(&server, members)?;
        for name in NAMES {
            let mut listener = Listener::in_group(&one, name).await;
            two.group_send(name, &flash("there")).await?;
            assert_eq!(listener.text().await, "there");
        }
        one.close().await;
        two.close().await;
    }
    Ok(())
}

#[actix_web::test]
async fn a_prefix_that_no_header_can_have_is_refused() -> Result<()> {
    let of = |prefix: &str| {
        let options = ClusterOptions {
            layer: Layer::redis(["redis://localhost"])?,
            prefix: prefix.to_owned(),
            ..ClusterOptions::default()
        };
        Cluster::new(options)
    };
    for (prefix, reason) in [
        ("é", "visible ASCII"),
        ("a b", "\"a b\""),
        ("fanfare:x", "reserved"),
    ] {
        let Err(error) = of(prefix) else {
            panic!("{prefix:?} was taken");
        };
        assert!(error.to_string().contains(reason), "{error}");
    }
    of(r#"a"b\c"#)?.close().await;
    Ok(())
}
