//! Which events applications may publish, whichever way they come in.
//!
//! A layer carries every event; these rules keep one that an application publishes from ending a
//! consumer of another node, such as one in Python, which looks its methods up by the type.

use crate::event::Event;

/// Why an event is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EventRefused {
    /// The type is empty or reserved. It contains the end of a sentence that says so.
    #[error("the event's \"type\" {0}")]
    Type(&'static str),
    /// A key that is reserved for the server.
    #[error("the key \"{0}\" is reserved: keys must not start with \"__\"")]
    ReservedKey(String),
}

/// Checks an event's type and its keys.
///
/// # Errors
/// [`EventRefused`], the first that applies.
pub fn check(event: &Event) -> Result<(), EventRefused> {
    check_type(event.event_type()).map_err(EventRefused::Type)?;
    match event.fields().iter().find(|(key, _)| key.starts_with("__")) {
        Some((key, _)) => Err(EventRefused::ReservedKey(key.to_string())),
        None => Ok(()),
    }
}

/// Checks an event type alone.
///
/// # Errors
/// What is wrong with it, as the end of a sentence.
pub fn check_type(kind: &str) -> Result<(), &'static str> {
    if kind.is_empty() {
        Err("is empty")
    } else if kind.starts_with(['_', '.']) {
        Err("must not start with \"_\" or \".\"")
    } else if kind.starts_with("websocket.") {
        Err("must not start with \"websocket.\": those are the socket's own")
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_of_the_model_itself_are_refused() {
        for bad in ["", "_x", ".x", "websocket.receive"] {
            assert!(check(&Event::new(bad)).is_err(), "{bad:?}");
        }
        for good in ["chat.message", "websockets", "x_"] {
            assert_eq!(check(&Event::new(good)), Ok(()), "{good}");
        }
    }

    #[test]
    fn keys_of_the_server_are_refused() {
        let event = Event::new("a").with("__fanfare__", true);
        assert_eq!(
            check(&event),
            Err(EventRefused::ReservedKey("__fanfare__".to_owned()))
        );
    }
}
