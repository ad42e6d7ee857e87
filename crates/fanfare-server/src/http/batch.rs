//! `POST /batch`: many events in one request, each with a result of its own.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::time::Instant;

use fanfare_layer::Publish;
use fanfare_node::Node;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::audit::{Publisher, Publishing};
use super::publish::{self, Publication};
use fanfare_web::{Address, Code, Refusal};

/// The most events of one batch.
const MAX_EVENTS: usize = 1000;

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Batch<'a> {
    #[serde(borrow)]
    events: Vec<&'a RawValue>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Item<'a> {
    #[serde(borrow)]
    group: Option<Cow<'a, str>>,
    #[serde(borrow)]
    channel: Option<Cow<'a, str>>,
    #[serde(borrow)]
    user: Option<Cow<'a, str>>,
    all: Option<bool>,
    #[serde(borrow)]
    event: &'a RawValue,
    #[serde(default)]
    exclude: Vec<String>,
}

/// A struct written as a JSON object: serde alone would also take an array of its fields.
struct Object<T>(T);

/// Publishes the events of a batch in their order; the results are in the same order. One that
/// fails does not stop those after it. All of them together take no longer than one publish may:
/// behind the deadline an event that finds no room at once fails.
pub(super) async fn publish(
    body: &[u8],
    node: &Node,
    publisher: &Publisher,
) -> Result<Vec<Value>, Refusal> {
    let items = read(body)?;
    let deadline = node.publish_deadline();
    let mut steps = Vec::with_capacity(items.len());
    for (index, item) in items.into_iter().enumerate() {
        let parsed = publication(item.get(), node);
        steps.push(match parsed {
            Ok((publication, publishing)) => {
                let published = publication.hand_over(node, deadline).await;
                (publishing, published.map_err(Refusal::from))
            }
            Err(error) => (None, Err(error.below(&format!("events.{index}")))),
        });
    }
    let mut results = Vec::with_capacity(steps.len());
    for (publishing, step) in steps {
        let outcome = confirmed(step, deadline).await;
        publisher.tell(publishing.as_ref(), outcome.as_ref().copied());
        results.push(result(outcome));
    }
    Ok(results)
}

fn read(body: &[u8]) -> Result<Vec<&RawValue>, Refusal> {
    let batch: Object<Batch<'_>> = serde_json::from_slice(body).map_err(|error| {
        let code = if error.is_data() {
            Code::InvalidBatch
        } else {
            Code::InvalidJson
        };
        Refusal::new(code, reason(&error)).at_position(error.line(), error.column())
    })?;
    let Object(batch) = batch;
    if batch.events.len() > MAX_EVENTS {
        let message = format!("{} events are more than {MAX_EVENTS}", batch.events.len());
        return Err(Refusal::new(Code::InvalidBatch, message).at("events"));
    }
    Ok(batch.events)
}

fn publication(item: &str, node: &Node) -> Result<(Publication, Option<Publishing>), Refusal> {
    let Object(item): Object<Item<'_>> = serde_json::from_str(item)
        .map_err(|error| Refusal::new(Code::InvalidBatch, reason(&error)))?;
    let address = address(&item)?;
    let target = publish::target(address, node)?;
    let event =
        publish::event(item.event.get().as_bytes()).map_err(|error| error.below("event"))?;
    let exclude = publish::excluded(item.exclude.iter().map(String::as_str), node)?;
    let publishing = Publishing::new(address, event.event_type(), item.event.get().len());
    let publication = Publication {
        target,
        event,
        exclude,
    };
    Ok((publication, publishing))
}

fn address<'i>(item: &'i Item<'_>) -> Result<Address<'i>, Refusal> {
    let addresses = [
        item.group.as_deref().map(Address::Group),
        item.channel.as_deref().map(Address::Channel),
        item.user.as_deref().map(Address::User),
        item.all.and_then(|all| all.then_some(Address::Everyone)),
    ];
    let mut given = addresses.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(address), None) => Ok(address),
        _ => {
            let message = "exactly one of \"group\", \"channel\", \"user\" and \"all\": true";
            Err(Refusal::new(Code::InvalidBatch, message))
        }
    }
}

/// What serde_json says without its position, which stands in fields of its own.
fn reason(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((reason, _)) => reason.to_owned(),
        None => text,
    }
}

async fn confirmed(step: Result<Publish, Refusal>, deadline: Instant) -> Result<(), Refusal> {
    let publish = step?;
    let confirmed = publish::confirmed(publish, deadline).await;
    confirmed.map_err(Refusal::from)
}

fn result(outcome: Result<(), Refusal>) -> Value {
    match outcome {
        Ok(()) => json!({ "status": 202 }),
        Err(error) => json!({ "status": error.status().as_u16(), "error": error.body() }),
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = T;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(fields))
            }
        }

        deserializer.deserialize_map(Fields(PhantomData)).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(outcome: Result<Vec<&RawValue>, Refusal>) -> Value {
        serde_json::to_value(outcome.unwrap_err().body()).unwrap()
    }

    #[test]
    fn a_batch_that_is_none_says_where() {
        let error = body(read(b"{\"events\": [\n  {]}"));
        assert_eq!(
            (&error["code"], &error["line"]),
            (&json!("invalid_json"), &json!(2))
        );
        for other in [
            "[]",
            "[[]]",
            "{}",
            "{\"events\": 1}",
            "{\"events\": [], \"more\": 1}",
        ] {
            let error = body(read(other.as_bytes()));
            assert_eq!(error["code"], "invalid_batch", "{other}");
            let message = error["message"].as_str().unwrap();
            assert!(!message.contains(" at line "), "{message}");
        }
    }

    #[test]
    fn a_thousand_events_are_a_batch_and_one_more_is_not() {
        let batch = |count: usize| format!("{{\"events\":[{}]}}", vec!["1"; count].join(","));
        assert_eq!(read(batch(1000).as_bytes()).unwrap().len(), 1000);
        let error = body(read(batch(1001).as_bytes()));
        assert_eq!(
            (&error["code"], &error["field"]),
            (&json!("invalid_batch"), &json!("events"))
        );
    }

    #[test]
    fn an_item_has_exactly_one_address() {
        let fits = |item: &str| {
            let item: Item<'_> = serde_json::from_str(item).unwrap();
            address(&item).is_ok()
        };
        assert!(fits("{\"group\":\"g\",\"event\":{}}"));
        assert!(fits("{\"all\":true,\"event\":{}}"));
        assert!(fits("{\"user\":\"u\",\"all\":false,\"event\":{}}"));
        assert!(!fits("{\"event\":{}}"));
        assert!(!fits("{\"all\":false,\"event\":{}}"));
        assert!(!fits("{\"group\":\"g\",\"user\":\"u\",\"event\":{}}"));
    }
}
