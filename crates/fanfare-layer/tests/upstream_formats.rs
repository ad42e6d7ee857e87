//! What channels_redis' tests of its serializers, its hashing and its pub/sub layer show, as far as
//! the suites of all layers do not; `docs/UPSTREAM-TESTS.md` says which is which.

use std::time::Duration;

use anyhow::Result;
use bytes::Bytes;
use fanfare_layer::redis::shard;
use fanfare_protocol::serializer::{Notation, Recipients};
use fanfare_protocol::{Envelope, Event, Serializer, Value};

use crate::support::{Cluster, numbered, numbers};

/// The event of the upstream tests, with the type that an event has here, in both notations.
const MSGPACK: &[u8] = b"\x84\xa4type\xa1t\xa1a\xc3\xa1b\xc0\xa1c\x81\xa1d\x90";
const JSON: &[u8] = br#"{"type": "t", "a": true, "b": null, "c": {"d": []}}"#;
const NOTATIONS: [(Notation, &[u8]); 2] = [(Notation::Msgpack, MSGPACK), (Notation::Json, JSON)];
const A_MINUTE: Duration = Duration::from_secs(60);

fn event() -> Event {
    let map = Event::new("t").with("d", Vec::<Value>::new());
    let entries = map.fields().iter().filter(|(key, _)| *key != "type");
    let entries: Vec<_> = entries
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Event::new("t")
        .with("a", true)
        .with("b", Value::Nil)
        .with("c", Value::Map(entries))
}

fn written(serializer: &Serializer) -> Result<Bytes> {
    let draft = serializer.draft(&Envelope::new(event()))?;
    Ok(serializer.finish(&draft, Recipients::None, false)?)
}

/// `test_serialize` of `test_serializers.py`; a length below nothing cannot be said here.
#[test]
fn an_event_is_written_behind_its_prefix_as_python_writes_it() -> Result<()> {
    for (notation, expected) in NOTATIONS {
        for prefix in [8, 12, 0] {
            let serializer = Serializer::core(notation, &[], prefix, A_MINUTE);
            assert_eq!(written(&serializer)?[prefix..], *expected);
        }
    }
    Ok(())
}

/// `test_deserialize` of `test_serializers.py`
#[test]
fn an_event_is_read_from_behind_its_prefix() -> Result<()> {
    const PREFIX: &[u8] = b"Q\x0c\xbb?Q\xbc\xe3|D\xfd9\x00";
    for (notation, value) in NOTATIONS {
        for prefix in [8, 12, 0] {
            let serializer = Serializer::core(notation, &[], prefix, A_MINUTE);
            let message = [&PREFIX[..prefix], value].concat();
            assert_eq!(serializer.read(&message.into())?.envelope.event, event());
        }
    }
    Ok(())
}

/// `test_serialization_encrypted`
#[test]
fn what_is_encrypted_is_not_to_be_seen_and_read_again() -> Result<()> {
    for (notation, clear) in NOTATIONS {
        let serializer = Serializer::core(notation, &["a-test-key".into()], 4, A_MINUTE);
        let message = written(&serializer)?;
        assert!(!message.windows(clear.len()).any(|part| part == clear));
        assert_eq!(serializer.read(&message)?.envelope.event, event());
    }
    Ok(())
}

/// `test_serialize` and `test_deserialize` of `test_pubsub.py`
#[test]
fn the_pubsub_layer_puts_nothing_around_an_event() -> Result<()> {
    let serializer = Serializer::pubsub(Notation::Msgpack, &[]);
    assert_eq!(written(&serializer)?, MSGPACK);
    let read = serializer.read(&Bytes::from_static(MSGPACK))?;
    assert_eq!(read.envelope.event, event());
    Ok(())
}

/// `test_consistent_hash_result`
#[test]
fn a_name_lives_on_the_host_where_python_looks_for_it() {
    for (name, hosts, expected) in [
        ("key_one", 1, 0),
        ("key_two", 1, 0),
        ("key_one", 2, 1),
        ("key_two", 2, 0),
        ("key_one", 10, 6),
        ("key_two", 10, 4),
    ] {
        assert_eq!(shard(name, hosts), expected, "{name} of {hosts}");
    }
}

/// `test_multi_send_receive` of `test_pubsub.py`, where the channel is a session's.
#[tokio::test]
async fn a_session_gets_its_messages_in_order() -> Result<()> {
    for cluster in [Cluster::pubsub(1)?, Cluster::core(1)?, Cluster::memory()] {
        let node = cluster.node().await?;
        let session = node.channel("0000000000000001")?;
        for number in 1..=3 {
            node.publish(&session, numbered(number)).await?;
        }
        let arrived = node.arrivals.first(3).await?;
        assert_eq!(numbers(&arrived), [1, 2, 3]);
        assert!(arrived.iter().all(|delivery| delivery.target == session));
    }
    Ok(())
}
