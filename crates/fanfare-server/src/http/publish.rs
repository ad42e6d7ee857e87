//! Publishing what came in over HTTP.

use std::sync::Arc;
use std::time::Instant;

use fanfare_layer::{Publish, PublishError};
use fanfare_node::Node;
use fanfare_protocol::{ChannelName, Envelope, Event, Target, event_rules, json};

use fanfare_web::{Address, Code, Refusal};
use tokio::time::timeout_at;

/// Something ready to be published.
pub(crate) struct Publication {
    pub(crate) target: Target,
    pub(crate) event: Event,
    pub(crate) exclude: Vec<ChannelName>,
}

impl Publication {
    /// Publishes it, and waits for the layer's answer.
    pub(crate) async fn publish(self, node: &Node) -> Result<(), PublishError> {
        let deadline = node.publish_deadline();
        let publish = self.hand_over(node, deadline).await?;
        confirmed(publish, deadline).await
    }

    /// Hands it to the layer, waiting for room until the deadline but not for the answer, so that a
    /// caller can keep an order without a round trip for each.
    pub(crate) async fn hand_over(
        self,
        node: &Node,
        deadline: Instant,
    ) -> Result<Publish, PublishError> {
        let envelope = Arc::new(Envelope::excluding(self.event, self.exclude));
        node.publish(self.target, envelope).admitted(deadline).await
    }
}

/// What the layer answers until the deadline.
pub(crate) async fn confirmed(publish: Publish, deadline: Instant) -> Result<(), PublishError> {
    let answer = timeout_at(deadline.into(), publish.confirmed()).await;
    answer.unwrap_or_else(|_late| {
        let reason = "its answer took longer than limits.publish_ms";
        Err(PublishError::Unanswered(reason.into()))
    })
}

/// The target of an address.
pub(crate) fn target(address: Address<'_>, node: &Node) -> Result<Target, Refusal> {
    let target = address.target(node.naming());
    target.map_err(|error| address.refuse(&error))
}

/// Reads an event from JSON text and checks it by the rules for events from outside.
pub(crate) fn event(text: &[u8]) -> Result<Event, Refusal> {
    let event = json::parse_event(text)?;
    event_rules::check(&event)?;
    Ok(event)
}

/// The channels to leave out.
pub(crate) fn excluded<'a>(
    names: impl IntoIterator<Item = &'a str>,
    node: &Node,
) -> Result<Vec<ChannelName>, Refusal> {
    let check = |name: &str| {
        node.naming()
            .channel(name)
            .map_err(|error| Refusal::name(Code::InvalidChannel, "exclude", &error))
    };
    names.into_iter().map(check).collect()
}

/// The `exclude` parameters of a query string; any other parameter is refused by name.
pub(crate) fn excluded_in_query(query: &str, node: &Node) -> Result<Vec<ChannelName>, Refusal> {
    let names = only_parameters(query, "exclude")?;
    excluded(names.iter().map(String::as_str), node)
}

/// Refuses every query parameter.
pub(crate) fn no_parameters(query: &str) -> Result<(), Refusal> {
    only_parameters(query, "").map(drop)
}

fn only_parameters(query: &str, known: &str) -> Result<Vec<String>, Refusal> {
    /// As many wrong names are told. What comes behind them is not looked at.
    const TOLD: usize = 5;
    let mut values = Vec::new();
    let mut unknown: Vec<String> = Vec::new();
    for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
        if !known.is_empty() && key == known {
            values.push(value.into_owned());
        } else if !unknown.iter().any(|name| *name == key) {
            unknown.push(key.into_owned());
            if unknown.len() == TOLD {
                break;
            }
        }
    }
    match unknown.first() {
        None => Ok(values),
        Some(first) => {
            let message = format!("unknown query parameters: {}", unknown.join(", "));
            Err(Refusal::new(Code::BadQuery, message).at(first))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repeated_parameter_is_decoded_and_every_other_is_named() {
        let values = only_parameters("exclude=a%21b&exclude=c", "exclude").unwrap();
        assert_eq!(values, ["a!b", "c"]);
        let error = only_parameters("x=1&exclude=a&y&x=2", "exclude").unwrap_err();
        let error = serde_json::to_value(error.body()).unwrap();
        assert_eq!(error["message"], "unknown query parameters: x, y");
        assert_eq!(error["field"], "x");
        assert!(no_parameters("").is_ok());
        assert!(no_parameters("exclude=a").is_err());
    }

    #[test]
    fn many_unknown_parameters_are_refused_at_the_first_few() {
        let query: Vec<_> = (0..20_000).map(|number| format!("{number:x}")).collect();
        let start = std::time::Instant::now();
        let error = no_parameters(&query.join("&")).unwrap_err();
        assert!(start.elapsed() < std::time::Duration::from_millis(500));
        let message = "unknown query parameters: 0, 1, 2, 3, 4";
        assert_eq!(error.to_string(), message);
    }
}
