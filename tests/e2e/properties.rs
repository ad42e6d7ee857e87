//! Random events: what Python packs Fanfare reads to the same value, and the reverse.

use std::cell::RefCell;
use std::ops::Range;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use bytestring::ByteString;
use fanfare::protocol::{Addressed, Envelope, Notation, Recipients, Serializer};
use fanfare::{Event, Value};
use fanfare_rig::{PythonLayer, PythonSerializer};
use proptest::collection::{hash_map, vec};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use serde_json::{Value as Json, json};
use tokio::runtime::Runtime;

use crate::notation::noted_event;

/// channels_redis' default.
const EXPIRY: u64 = 60;
const NAMES: [&str; 2] = ["specific.0123!a", "specific.0123!b"];

/// A serializer on both sides.
struct Pair {
    name: String,
    rust: Serializer,
    python: PythonSerializer,
    core: bool,
}

fn pair(notation: Notation, keys: &[&str], core: bool) -> Pair {
    let keys: Vec<String> = keys.iter().map(|key| (*key).to_owned()).collect();
    let python = PythonSerializer {
        format: match notation {
            Notation::Msgpack => "msgpack",
            Notation::Json => "json",
        },
        keys: keys.clone(),
        prefix: if core { 12 } else { 0 },
        expiry: core.then_some(EXPIRY),
    };
    let rust = if core {
        Serializer::core(notation, &keys, python.prefix, Duration::from_secs(EXPIRY))
    } else {
        Serializer::pubsub(notation, &keys)
    };
    let name = format!("{python:?}");
    Pair {
        name,
        rust,
        python,
        core,
    }
}

fn pairs(notation: Notation) -> Vec<Pair> {
    let keys: [&[&str]; 2] = [&[], &["new key", "old key"]];
    let pairs = keys.into_iter().flat_map(|keys| {
        [false, true]
            .into_iter()
            .map(move |core| pair(notation, keys, core))
    });
    pairs.collect()
}

fn float(notation: Notation) -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(move |bits| match (notation, f64::from_bits(bits)) {
        (Notation::Json, number) if !number.is_finite() => 0.1,
        // What a NaN carries besides is nobody's business.
        (Notation::Msgpack, number) if number.is_nan() => f64::NAN,
        (_, number) => number,
    })
}

fn value(notation: Notation) -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Nil),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        (-70_000_i64..70_000).prop_map(Value::Int),
        any::<u64>().prop_map(Value::from),
        float(notation).prop_map(Value::Float),
        (-1000_i32..1000).prop_map(|whole| Value::Float(whole.into())),
        any::<String>().prop_map(Value::from),
        "[ -~]{30,40}|[a-z]{250,270}".prop_map(Value::from),
        vec(any::<u8>(), 0..270).prop_map(move |data| match notation {
            Notation::Msgpack => Value::Bin(Bytes::from(data)),
            Notation::Json => Value::List(data.into_iter().map(|n| Value::Int(n.into())).collect()),
        }),
    ];
    leaf.prop_recursive(3, 6, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::List),
            // More than msgpack counts in one byte.
            vec(any::<bool>().prop_map(Value::Bool), 14..18).prop_map(Value::List),
            entries(inner, 0..4).prop_map(Value::Map),
            entries(any::<bool>().prop_map(Value::Bool), 14..18).prop_map(Value::Map),
        ]
    })
}

fn entries(
    inner: impl Strategy<Value = Value>,
    count: Range<usize>,
) -> impl Strategy<Value = Vec<(ByteString, Value)>> {
    hash_map("[a-z_]{1,6}|\\PC{0,3}|[a-z]{32,34}", inner, count).prop_map(|entries| {
        let entries = entries.into_iter();
        entries.map(|(key, value)| (key.into(), value)).collect()
    })
}

fn event(notation: Notation) -> impl Strategy<Value = Event> {
    let parts = (
        entries(value(notation), 0..4),
        any::<String>(),
        any::<prop::sample::Index>(),
    );
    parts.prop_map(|(mut fields, kind, place)| {
        fields.retain(|(key, _)| key != "type");
        let place = place.index(fields.len() + 1);
        fields.insert(place, (ByteString::from_static("type"), Value::from(kind)));
        Event::from_fields(fields).expect("its type is there")
    })
}

/// What Python says for an event in the core format: the names stand behind the event's fields.
fn addressed(event: &Event, names: Option<Json>) -> Json {
    let mut noted = noted_event(event);
    let entries = noted.get_mut("map").and_then(Json::as_array_mut);
    if let (Some(names), Some(entries)) = (names, entries) {
        entries.push(json!(["__asgi_channel__", names]));
    }
    noted
}

/// The three ways in which a message names whom it is for; in the pub/sub format only the first.
fn recipients(core: bool, index: usize) -> (Recipients<'static>, Addressed, Option<Json>) {
    let [first, second] = NAMES;
    match index % 3 {
        1 if core => (
            Recipients::One(first),
            Addressed::One(first.into()),
            Some(json!(first)),
        ),
        2 if core => (
            Recipients::Many(&NAMES),
            Addressed::Many(vec![first.into(), second.into()]),
            Some(json!(NAMES)),
        ),
        _ => (Recipients::None, Addressed::Nobody, None),
    }
}

async fn python_reads_what_fanfare_packs(
    python: &mut PythonLayer,
    pair: &Pair,
    events: &[Event],
) -> Result<()> {
    let mut messages = Vec::with_capacity(events.len());
    for (index, event) in events.iter().enumerate() {
        let draft = pair.rust.draft(&Envelope::new(event.clone()))?;
        let (to, _, _) = recipients(pair.core, index);
        messages.push(pair.rust.finish(&draft, to, false)?);
    }
    let read = python.unpack(&pair.python, &messages).await?;
    ensure!(read.len() == events.len(), "{} answers", read.len());
    for (index, (event, read)) in events.iter().zip(read).enumerate() {
        let (_, _, names) = recipients(pair.core, index);
        let sent = addressed(event, names);
        let read = read.with_context(|| sent.to_string())?;
        ensure!(read == sent, "Fanfare packed {sent}, Python read {read}");
    }
    Ok(())
}

async fn fanfare_reads_what_python_packs(
    python: &mut PythonLayer,
    pair: &Pair,
    events: &[Event],
) -> Result<()> {
    let values = events.iter().enumerate();
    let values = values.map(|(index, event)| addressed(event, recipients(pair.core, index).2));
    let values: Vec<Json> = values.collect();
    let messages = python.pack(&pair.python, &values).await?;
    ensure!(messages.len() == events.len(), "{} answers", messages.len());
    for (index, (event, message)) in events.iter().zip(messages).enumerate() {
        let (_, to, _) = recipients(pair.core, index);
        let sent = noted_event(event);
        let read = pair.rust.read(&Bytes::from(message?));
        let read = read.with_context(|| sent.to_string())?;
        let got = noted_event(&read.envelope.event);
        ensure!(got == sent, "Python packed {sent}, Fanfare read {got}");
        ensure!(read.to == to, "{:?} instead of {to:?}", read.to);
    }
    Ok(())
}

fn both_sides_agree(notation: Notation) -> Result<()> {
    let runtime = Runtime::new()?;
    let python = runtime.block_on(PythonLayer::start(&[]))?;
    let python = RefCell::new(python);
    let pairs = pairs(notation);
    let config = Config {
        cases: 4,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new(config).run(&vec(event(notation), 100..200), |events| {
        let mut python = python.borrow_mut();
        for pair in &pairs {
            let outcome = runtime.block_on(async {
                python_reads_what_fanfare_packs(&mut python, pair, &events).await?;
                fanfare_reads_what_python_packs(&mut python, pair, &events).await
            });
            outcome.map_err(|error| TestCaseError::fail(format!("{}: {error:#}", pair.name)))?;
        }
        Ok(())
    })?;
    Ok(())
}

#[test]
fn random_events_in_msgpack_are_the_same_on_both_sides() -> Result<()> {
    both_sides_agree(Notation::Msgpack)
}

#[test]
fn random_events_in_json_are_the_same_on_both_sides() -> Result<()> {
    both_sides_agree(Notation::Json)
}

#[test]
fn a_message_under_the_second_key_is_read_and_one_under_another_is_not() -> Result<()> {
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        let mut python = PythonLayer::start(&[]).await?;
        let event = Event::new("note").with("text", "hello");
        for core in [false, true] {
            let old = pair(Notation::Msgpack, &["old key"], core);
            let rotated = pair(Notation::Msgpack, &["new key", "old key"], core);
            let other = pair(Notation::Msgpack, &["other key"], core);
            let events = [event.clone()];
            let from_python = Pair {
                python: old.python.clone(),
                ..pair(Notation::Msgpack, &["new key", "old key"], core)
            };
            fanfare_reads_what_python_packs(&mut python, &from_python, &events).await?;
            let to_python = Pair {
                python: rotated.python.clone(),
                ..pair(Notation::Msgpack, &["old key"], core)
            };
            python_reads_what_fanfare_packs(&mut python, &to_python, &events).await?;

            let draft = rotated.rust.draft(&Envelope::new(event.clone()))?;
            let message = rotated.rust.finish(&draft, Recipients::None, false)?;
            ensure!(other.rust.read(&message).is_err(), "read without its key");
            let read = python.unpack(&other.python, &[message]).await?;
            let error = read.into_iter().next().context("an answer")?;
            let error = error.err().context("Python read it without its key")?;
            ensure!(error.kind == "InvalidToken", "{error}");
        }
        Ok(())
    })
}
