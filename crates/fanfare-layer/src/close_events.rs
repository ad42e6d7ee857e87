//! Events that close sessions, where the layer honours them.
//!
//! Whoever can publish may then close: so they are honoured only on request, and only where an event
//! reaches everyone, one user or one session.

use std::sync::Arc;

use fanfare_protocol::{ChannelName, Close, CloseCode, Envelope, Event, GroupName, Target, Value};

/// The type of such an event.
const CLOSE_TYPE: &str = "fanfare.close";
/// The code where the event names none.
const DEFAULT_CODE: CloseCode = CloseCode(4000);

/// Whether events of type `fanfare.close` close sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CloseEvents {
    /// They are events like others.
    #[default]
    Ignored,
    /// One for everyone's group, for the group of a user or for the channel of a session closes the
    /// sessions that it reaches, with its `code` (4000 if it has none) and its `reason`.
    Honoured,
}

impl CloseEvents {
    /// What a target gets of an envelope: the same, or an order to close.
    ///
    /// # Errors
    /// Why an event cannot close with this code and reason.
    pub(crate) fn apply(
        self,
        target: &Target,
        envelope: Arc<Envelope>,
    ) -> Result<Arc<Envelope>, String> {
        let asks = envelope.close.is_none() && envelope.event.event_type() == CLOSE_TYPE;
        if self == Self::Ignored || !asks || !may_close(target) {
            return Ok(envelope);
        }
        let close = Some(close(&envelope.event)?);
        let envelope = Arc::unwrap_or_clone(envelope);
        Ok(Arc::new(Envelope { close, ..envelope }))
    }
}

/// A group of the application is none of these: a view may put a browser's fields into its events.
fn may_close(target: &Target) -> bool {
    match target {
        Target::Group(group) => *group == GroupName::everyone() || group.user_id().is_some(),
        Target::Channel(channel) => is_process_local(channel),
    }
}

fn is_process_local(channel: &ChannelName) -> bool {
    channel.as_str().contains('!')
}

fn close(event: &Event) -> Result<Close, String> {
    let code = match event.get("code") {
        None | Some(Value::Nil) => Some(DEFAULT_CODE),
        Some(Value::Int(code)) => u16::try_from(*code).ok().map(CloseCode),
        Some(Value::UInt(code)) => u16::try_from(*code).ok().map(CloseCode),
        Some(_) => None,
    };
    let reason = match event.get("reason") {
        None | Some(Value::Nil) => Some("".into()),
        Some(Value::Str(reason)) => Some(reason.clone()),
        Some(_) => None,
    };
    let code = code.ok_or("its code is no close code")?;
    let reason = reason.ok_or("its reason is no text")?;
    Close::new(code, reason).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use fanfare_protocol::Naming;

    use super::*;

    fn apply(target: &Target, event: Event) -> Result<Option<Close>, String> {
        let envelope = Arc::new(Envelope::new(event));
        let applied = CloseEvents::Honoured.apply(target, envelope)?;
        Ok(applied.close.clone())
    }

    fn group(name: &str) -> Target {
        Target::Group(GroupName::parse(name).unwrap())
    }

    fn channel(name: &str) -> Target {
        Target::Channel(Naming::plain("asgi").channel(name).unwrap())
    }

    fn event() -> Event {
        Event::new(CLOSE_TYPE)
    }

    #[test]
    fn everyone_a_user_and_a_session_are_closed_and_no_other_group() {
        let expected = Close::new(CloseCode(4000), "").unwrap();
        let session = "specific.0123456789abcdef0123456789abcdef!abc";
        let closed = [
            group("fanfare.all"),
            group("fanfare.user.42"),
            channel(session),
        ];
        for target in closed {
            assert_eq!(apply(&target, event()), Ok(Some(expected.clone())));
            let ignored = CloseEvents::Ignored;
            let envelope = Arc::new(Envelope::new(event()));
            assert_eq!(ignored.apply(&target, envelope).unwrap().close, None);
            assert_eq!(apply(&target, Event::new("news")), Ok(None));
        }
        for target in [group("chat"), group("fanfare.other"), channel("jobs")] {
            assert_eq!(apply(&target, event()), Ok(None));
        }
    }

    #[test]
    fn code_and_reason_are_those_of_the_event_and_wrong_ones_close_nobody() {
        let all = group("fanfare.all");
        let with = event().with("code", 4401_i64).with("reason", "logged out");
        let close = Close::new(CloseCode(4401), "logged out").unwrap();
        assert_eq!(apply(&all, with), Ok(Some(close)));
        let wrong = [
            event().with("code", 1006_i64),
            event().with("code", 70_000_i64),
            event().with("code", "4000"),
            event().with("reason", 7_i64),
            event().with("reason", "x".repeat(124)),
        ];
        for event in wrong {
            assert!(apply(&all, event.clone()).is_err(), "{event:?}");
        }
    }
}
