//! Consumers whose clients speak JSON.

use std::future::ready;

use fanfare_protocol::CloseCode;
use fanfare_web::{Accept, Reject, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::consumer::{Consumer, Unknown};
use crate::failure::Outcome;
use crate::frame::Frame;
use crate::session::Session;

/// A [`Consumer`] that receives values instead of frames; [`Json`] makes it one.
///
/// A client that sends what is no JSON, not of the type [`Incoming`](Self::Incoming), or binary is
/// told so, and its session goes on:
///
/// ```json
/// {"error":{"code":"invalid_json","message":"missing field `text`","field":null,"line":1,"column":2}}
/// ```
///
/// `line` and `column` count from 1 and are null where they are not known: serde knows none for the
/// fields of a tagged enum, and a binary message has none.
///
/// ```
/// use actix_web::App;
/// use fanfare_consumer::{Frames, Json, JsonConsumer, Outcome, Session, consumer};
/// use serde::{Deserialize, Serialize};
///
/// struct Adder;
///
/// #[derive(Deserialize)]
/// struct Sum {
///     a: i64,
///     b: i64,
/// }
///
/// #[derive(Serialize)]
/// struct Answer {
///     sum: Option<i64>,
/// }
///
/// impl JsonConsumer for Adder {
///     type Event = Frames;
///     type Incoming = Sum;
///
///     async fn receive(&mut self, session: &mut Session, message: Sum) -> Outcome {
///         let sum = message.a.checked_add(message.b);
///         session.send_json(&Answer { sum }).await?;
///         Ok(())
///     }
/// }
///
/// let app = || App::new().service(consumer("/ws/add/", || Json(Adder)));
/// # let _ = app();
/// ```
pub trait JsonConsumer<M: 'static = ()>: Sized + 'static {
    /// As [`Consumer::Event`].
    type Event: DeserializeOwned + 'static;

    /// What clients send.
    type Incoming: DeserializeOwned + 'static;

    /// As [`Consumer::GROUPS`].
    const GROUPS: &'static [&'static str] = &[];

    /// As [`Consumer::DELIVER`].
    const DELIVER: &'static [(&'static str, &'static str)] = &[];

    /// As [`Consumer::UNKNOWN`].
    const UNKNOWN: Unknown = Unknown::Ignore;

    /// As [`Consumer::connect`].
    ///
    /// # Errors
    /// [`Reject`]: the client gets that response, and no session.
    fn connect(
        &mut self,
        session: &mut Session<M>,
        request: &Request,
    ) -> impl Future<Output = Result<Accept, Reject>> {
        let _unused = (session, request);
        ready(Ok(Accept::new()))
    }

    /// A message of the client.
    ///
    /// # Errors
    /// A [`Failure`](crate::Failure) ends the session.
    fn receive(
        &mut self,
        session: &mut Session<M>,
        message: Self::Incoming,
    ) -> impl Future<Output = Outcome>;

    /// As [`Consumer::event`].
    ///
    /// # Errors
    /// A [`Failure`](crate::Failure) ends the session.
    fn event(
        &mut self,
        session: &mut Session<M>,
        event: &Self::Event,
    ) -> impl Future<Output = Outcome> {
        let _unused = (session, event);
        ready(Ok(()))
    }

    /// As [`Consumer::message`].
    ///
    /// # Errors
    /// A [`Failure`](crate::Failure) ends the session.
    fn message(&mut self, session: &mut Session<M>, message: M) -> impl Future<Output = Outcome> {
        let _unused = (session, message);
        ready(Ok(()))
    }

    /// As [`Consumer::disconnect`].
    fn disconnect(
        &mut self,
        session: &mut Session<M>,
        code: CloseCode,
    ) -> impl Future<Output = ()> {
        let _unused = (session, code);
        ready(())
    }
}

/// Makes a [`JsonConsumer`] a [`Consumer`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Json<C>(pub C);

impl<C: JsonConsumer<M>, M: 'static> Consumer<M> for Json<C> {
    type Event = C::Event;
    const GROUPS: &'static [&'static str] = C::GROUPS;
    const DELIVER: &'static [(&'static str, &'static str)] = C::DELIVER;
    const UNKNOWN: Unknown = C::UNKNOWN;

    fn connect(
        &mut self,
        session: &mut Session<M>,
        request: &Request,
    ) -> impl Future<Output = Result<Accept, Reject>> {
        self.0.connect(session, request)
    }

    async fn receive(&mut self, session: &mut Session<M>, frame: Frame) -> Outcome {
        match read(&frame) {
            Ok(message) => self.0.receive(session, message).await,
            Err(reply) => Ok(session.send_json(&reply).await?),
        }
    }

    fn event(
        &mut self,
        session: &mut Session<M>,
        event: &Self::Event,
    ) -> impl Future<Output = Outcome> {
        self.0.event(session, event)
    }

    fn message(&mut self, session: &mut Session<M>, message: M) -> impl Future<Output = Outcome> {
        self.0.message(session, message)
    }

    fn disconnect(
        &mut self,
        session: &mut Session<M>,
        code: CloseCode,
    ) -> impl Future<Output = ()> {
        self.0.disconnect(session, code)
    }
}

/// What a client is told of a message that cannot be read.
#[derive(Debug, Serialize)]
struct Reply {
    error: Fields,
}

#[derive(Debug, Serialize)]
struct Fields {
    code: &'static str,
    message: String,
    /// As in every error; what is wrong is at a line and a column.
    field: Option<&'static str>,
    line: Option<usize>,
    column: Option<usize>,
}

fn read<T: DeserializeOwned>(frame: &Frame) -> Result<T, Reply> {
    match frame {
        Frame::Text(text) => serde_json::from_str(text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            let mut message = error.to_string();
            let position = format!(" at line {line} column {column}");
            if let Some(bare) = message.strip_suffix(&position) {
                message.truncate(bare.len());
            }
            // serde_json counts the columns of an unfinished line from 0, and knows no line of
            // what it had to read twice, such as the fields of a tagged enum.
            reply(message, (line > 0).then_some((line, column.max(1))))
        }),
        Frame::Binary(_) => Err(reply("a text message is expected".to_owned(), None)),
    }
}

fn reply(message: String, position: Option<(usize, usize)>) -> Reply {
    Reply {
        error: Fields {
            code: "invalid_json",
            message,
            field: None,
            line: position.map(|(line, _)| line),
            column: position.map(|(_, column)| column),
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_position_that_is_not_known_is_null() {
        #[derive(Debug, serde::Deserialize)]
        #[serde(tag = "action", rename_all = "snake_case")]
        enum Tagged {
            #[expect(dead_code, reason = "never read, only required")]
            Say { text: String },
        }
        let frame = Frame::Text(r#"{"action":"say"}"#.into());
        let told = read::<Tagged>(&frame).map_err(|reply| json!(reply));
        let told = told.unwrap_err();
        assert_eq!(told["error"]["line"], Value::Null);
        assert_eq!(told["error"]["message"], "missing field `text`");
    }

    #[derive(Debug, serde::Deserialize)]
    struct Say {
        text: String,
    }

    fn told(frame: Frame) -> Value {
        let reply = read::<Say>(&frame).map(|say| say.text).unwrap_err();
        serde_json::to_value(reply).unwrap()
    }

    #[test]
    fn json_of_the_right_shape_is_read() {
        let say: Say = read(&Frame::Text(r#"{"text":"hi"}"#.into())).unwrap();
        assert_eq!(say.text, "hi");
    }

    #[test]
    fn a_client_is_told_what_is_wrong_and_where() {
        let syntax = json!({"error": {
            "code": "invalid_json", "message": "expected value", "field": null,
            "line": 2, "column": 3,
        }});
        assert_eq!(told(Frame::Text("{\"text\":\n  ?".into())), syntax);
        let shape = told(Frame::Text("{}".into()));
        assert_eq!(shape["error"]["message"], "missing field `text`");
        assert_eq!(shape["error"]["column"], 2);
        let empty = told(Frame::Text("".into()));
        assert_eq!(empty["error"]["column"], 1);
    }

    #[test]
    fn a_client_is_told_that_binary_is_no_json() {
        let told = told(Frame::Binary("{}".into()));
        assert_eq!(told["error"]["code"], "invalid_json");
        assert_eq!(told["error"]["line"], Value::Null);
    }
}
