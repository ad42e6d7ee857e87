//! What one side can say and the other refuses, or reads as something else: docs/CHANNELS.md has
//! the same tables.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use fanfare::protocol::{Envelope, Notation, Recipients, Serializer};
use fanfare::{Event, Value};
use fanfare_rig::{PythonLayer, PythonSerializer};
use serde_json::{Value as Json, json};

use crate::notation::{bytes_of, float, map, noted_event};

/// What becomes of a value that one side has.
enum Outcome {
    /// Python has no bytes for it: the name of the exception.
    PythonRefuses(&'static str),
    /// Fanfare does not read it: a part of the reason.
    FanfareRefuses(&'static str),
    /// Fanfare reads it as this.
    Reads(Json),
}
use Outcome::{FanfareRefuses, PythonRefuses, Reads};

fn python_serializer(format: &'static str, prefix: usize) -> PythonSerializer {
    PythonSerializer {
        format,
        keys: Vec::new(),
        prefix,
        expiry: None,
    }
}

/// Packs `{"type": "t", "v": <expression>}` in Python and reads it here, in both formats.
async fn check(notation: Notation, cases: Vec<(&str, Outcome)>) -> Result<()> {
    let wrapped = |expression: &str| format!("{{'type': 't', 'v': {expression}}}");
    let cases = cases.into_iter().map(|(expression, outcome)| {
        let outcome = match outcome {
            Reads(value) => Reads(map([(json!("type"), json!("t")), (json!("v"), value)])),
            other => other,
        };
        (wrapped(expression), outcome)
    });
    check_whole(notation, cases.collect()).await
}

/// Packs whole messages in Python and reads them here, in both formats.
async fn check_whole(notation: Notation, cases: Vec<(String, Outcome)>) -> Result<()> {
    let format = match notation {
        Notation::Msgpack => "msgpack",
        Notation::Json => "json",
    };
    let mut python = PythonLayer::start(&[]).await?;
    let formats = [
        (Serializer::pubsub(notation, &[]), 0),
        (
            Serializer::core(notation, &[], 12, Duration::from_secs(60)),
            12,
        ),
    ];
    let values = cases
        .iter()
        .map(|(expression, _)| json!({ "python": expression }));
    let values: Vec<Json> = values.collect();
    for (rust, prefix) in formats {
        let packed = python
            .pack(&python_serializer(format, prefix), &values)
            .await?;
        for ((expression, outcome), packed) in cases.iter().zip(packed) {
            let read = packed.map(|bytes| rust.read(&Bytes::from(bytes)));
            let found = format!("{format} {expression}: {read:?}");
            match (outcome, read) {
                (PythonRefuses(kind), Err(error)) => ensure!(error.kind == *kind, found),
                (FanfareRefuses(reason), Ok(Err(error))) => {
                    ensure!(error.to_string().contains(reason), found);
                }
                (Reads(value), Ok(Ok(read))) => {
                    ensure!(noted_event(&read.envelope.event) == *value, found);
                }
                _ => anyhow::bail!("unexpected: {found}"),
            }
        }
    }
    Ok(())
}

/// Lists inside of each other, as Python makes them under the same name.
fn nested(depth: usize) -> Json {
    (1..depth).fold(json!([]), |inner, _| json!([inner]))
}

#[tokio::test]
async fn what_python_packs_in_msgpack_is_read_or_refused_as_documented() -> Result<()> {
    let one = |key: &str, value: Json| Reads(map([(json!(key), value)]));
    check(
        Notation::Msgpack,
        vec![
            ("{1: 2}", one("1", json!(2))),
            ("{None: 2}", one("null", json!(2))),
            ("{True: 2}", one("true", json!(2))),
            ("{1.5: 2}", one("1.5", json!(2))),
            (r"{b'key': 2}", one("key", json!(2))),
            (
                r"{b'\xff': 2}",
                FanfareRefuses("a key of bytes is not UTF-8"),
            ),
            ("{(1, 2): 3}", FanfareRefuses("a key is a list or a map")),
            ("{timestamp(1): 3}", FanfareRefuses("a key is an extension")),
            ("(1, 2)", Reads(json!([1, 2]))),
            (r"ext(5, b'ab')", Reads(bytes_of(b"ab"))),
            ("timestamp(1700000000)", Reads(json!(1_700_000_000))),
            (
                "timestamp(1700000000, 500000000)",
                Reads(float(1_700_000_000.5)),
            ),
            ("nan", Reads(float(f64::NAN))),
            (
                "[inf, -inf]",
                Reads(json!([float(f64::INFINITY), float(f64::NEG_INFINITY)])),
            ),
            ("2**63", Reads(json!(1_u64 << 63))),
            ("2**64 - 1", Reads(json!(u64::MAX))),
            ("-2**63", Reads(json!(i64::MIN))),
            ("2**64", PythonRefuses("OverflowError")),
            ("-2**63 - 1", PythonRefuses("OverflowError")),
            (r"'\ud800'", PythonRefuses("UnicodeEncodeError")),
            ("{1, 2}", PythonRefuses("TypeError")),
            ("nested(63)", Reads(nested(63))),
            ("nested(64)", FanfareRefuses("nested more than 64 deep")),
        ],
    )
    .await
}

#[tokio::test]
async fn what_python_packs_in_json_is_read_or_refused_as_documented() -> Result<()> {
    let one = |key: &str, value: Json| Reads(map([(json!(key), value)]));
    check(
        Notation::Json,
        vec![
            ("{1: 2}", one("1", json!(2))),
            ("{None: 2}", one("null", json!(2))),
            ("{True: 2}", one("true", json!(2))),
            ("{1.5: 2}", one("1.5", json!(2))),
            (r"{b'key': 2}", PythonRefuses("TypeError")),
            ("{(1, 2): 3}", PythonRefuses("TypeError")),
            ("(1, 2)", Reads(json!([1, 2]))),
            (r"b'ab'", PythonRefuses("TypeError")),
            ("timestamp(1)", PythonRefuses("TypeError")),
            ("nan", Reads(float(f64::NAN))),
            (
                "[inf, -inf]",
                Reads(json!([float(f64::INFINITY), float(f64::NEG_INFINITY)])),
            ),
            ("2**63", Reads(json!(1_u64 << 63))),
            ("2**64 - 1", Reads(json!(u64::MAX))),
            ("-2**63", Reads(json!(i64::MIN))),
            ("2**64", FanfareRefuses("does not fit 64 bits")),
            ("-2**63 - 1", FanfareRefuses("does not fit 64 bits")),
            (r"'a\ud800'", Reads(json!("a\u{fffd}"))),
            (r"'\ud83d\ude00'", Reads(json!("\u{1f600}"))),
            ("{1, 2}", PythonRefuses("TypeError")),
            ("nested(63)", Reads(nested(63))),
            ("nested(64)", FanfareRefuses("nested more than 64 deep")),
        ],
    )
    .await
}

#[tokio::test]
async fn what_python_packs_and_is_no_event_is_refused() -> Result<()> {
    for notation in [Notation::Msgpack, Notation::Json] {
        let cases = [
            ("[1, 2]", "no map but a list"),
            ("'text'", "no map but a string"),
            ("7", "no map but an integer"),
            ("{'no': 'type'}", "no key \"type\""),
            ("{'type': 7}", "\"type\" is no string"),
        ];
        let cases = cases.map(|(message, reason)| (message.to_owned(), FanfareRefuses(reason)));
        check_whole(notation, cases.into()).await?;
    }
    Ok(())
}

#[test]
fn what_json_cannot_say_is_refused_where_it_is_published() -> Result<()> {
    let serializers = [
        Serializer::pubsub(Notation::Json, &[]),
        Serializer::core(Notation::Json, &[], 12, Duration::from_secs(60)),
    ];
    let cases = [
        (Value::Bin(Bytes::from_static(b"ab")), "holds bytes"),
        (Value::Float(f64::NAN), "holds NaN"),
        (Value::Float(f64::INFINITY), "holds Infinity"),
        (Value::Float(f64::NEG_INFINITY), "holds -Infinity"),
        (Value::List(vec![Value::Float(f64::NAN)]), "holds NaN"),
    ];
    for serializer in &serializers {
        for (value, reason) in &cases {
            let event = Event::new("t").with("v", value.clone());
            let refusal = serializer.draft(&Envelope::new(event)).err();
            let refusal = refusal.with_context(|| format!("{value:?} is drafted"))?;
            let refusal = refusal.to_string();
            ensure!(
                refusal.contains(reason) && refusal.contains("\"v\""),
                refusal
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn python_reads_all_that_msgpack_can_say_here() -> Result<()> {
    let mut python = PythonLayer::start(&[]).await?;
    let mut deepest = Value::Nil;
    for _ in 0..63 {
        deepest = Value::List(vec![deepest]);
    }
    let event = Event::new("t")
        .with("bytes", Bytes::from_static(b"\x00\xff"))
        .with("nan", f64::NAN)
        .with("infinity", f64::INFINITY)
        .with("large", u64::MAX)
        .with("deepest", deepest);
    let event_only = Envelope::new(event.clone());
    let serializers = [
        (Serializer::pubsub(Notation::Msgpack, &[]), 0),
        (
            Serializer::core(Notation::Msgpack, &[], 12, Duration::from_secs(60)),
            12,
        ),
    ];
    for (rust, prefix) in serializers {
        let message = rust.finish(&rust.draft(&event_only)?, Recipients::None, false)?;
        let read = python
            .unpack(&python_serializer("msgpack", prefix), &[message])
            .await?;
        let read = read.into_iter().next().context("an answer")??;
        ensure!(read == noted_event(&event), "Python read {read}");
    }
    Ok(())
}
