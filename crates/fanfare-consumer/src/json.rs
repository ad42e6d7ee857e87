//! JSON messages of clients.

use serde::de::DeserializeOwned;
use serde::ser::{Serialize, SerializeStruct as _, Serializer};

use crate::failure::Failure;
use crate::frame::{Frame, FromFrame};

/// A text message whose JSON is a `T`, for [`Consumer::receive`](crate::Consumer::receive).
///
/// If a message is binary, is not JSON or is not a `T`, the client gets an error, and its session
/// continues:
///
/// ```json
/// {"error":{"code":"invalid_json","message":"missing field `text`","field":null,"line":1,"column":2}}
/// ```
///
/// [`Consumer::failed`](crate::Consumer::failed) gets this error as a failure made of a
/// [`JsonError`], and can answer in another form. `line` and `column` count from 1. They are null
/// where they are not known: for the fields of a tagged enum, and for a binary message.
///
/// ```
/// use actix_web::App;
/// use fanfare_consumer::{Consumer, Frames, JsonFrame, Outcome, Session, consumer};
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
/// impl Consumer<(), JsonFrame<Sum>> for Adder {
///     type Event = Frames;
///
///     async fn receive(
///         &mut self,
///         session: &mut Session,
///         JsonFrame(message): JsonFrame<Sum>,
///     ) -> Outcome {
///         let sum = message.a.checked_add(message.b);
///         session.send_json(&Answer { sum }).await?;
///         Ok(())
///     }
/// }
///
/// let app = || App::new().service(consumer("/ws/add/", || Adder));
/// # let _ = app();
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct JsonFrame<T>(pub T);

impl<T: DeserializeOwned + 'static> FromFrame for JsonFrame<T> {
    fn from_frame(frame: Frame) -> Result<Self, Failure> {
        read(&frame).map(Self).map_err(|error| {
            let boxed: Box<dyn std::error::Error> = Box::new(error.clone());
            Failure::answer(&error, Some(boxed))
        })
    }
}

/// Why a message is not JSON of the type that a consumer receives. By default the client gets it as
/// JSON.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct JsonError {
    message: String,
    position: Option<(usize, usize)>,
}

impl JsonError {
    /// What is wrong, without its position.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Line and column, from 1. `None` where they are not known.
    pub fn position(&self) -> Option<(usize, usize)> {
        self.position
    }
}

impl Serialize for JsonError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(serde::Serialize)]
        struct Fields<'a> {
            code: &'static str,
            message: &'a str,
            /// As in every error; what is wrong is at a line and a column.
            field: Option<&'static str>,
            line: Option<usize>,
            column: Option<usize>,
        }
        let mut answer = serializer.serialize_struct("JsonError", 1)?;
        let fields = Fields {
            code: "invalid_json",
            message: &self.message,
            field: None,
            line: self.position.map(|(line, _)| line),
            column: self.position.map(|(_, column)| column),
        };
        answer.serialize_field("error", &fields)?;
        answer.end()
    }
}

fn read<T: DeserializeOwned>(frame: &Frame) -> Result<T, JsonError> {
    let Frame::Text(text) = frame else {
        return Err(JsonError {
            message: "a text message is expected".to_owned(),
            position: None,
        });
    };
    serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line(), error.column());
        let mut message = error.to_string();
        let place = format!(" at line {line} column {column}");
        if let Some(bare) = message.strip_suffix(&place) {
            message.truncate(bare.len());
        }
        // serde_json counts the columns of an unfinished line from 0, and knows no line of what it
        // had to read twice, such as the fields of a tagged enum.
        let position = (line > 0).then_some((line, column.max(1)));
        JsonError { message, position }
    })
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
        let told = read::<Tagged>(&frame).map(|_| ()).unwrap_err();
        let told = json!(told);
        assert_eq!(told["error"]["line"], Value::Null);
        assert_eq!(told["error"]["message"], "missing field `text`");
    }

    #[derive(Debug, serde::Deserialize)]
    struct Say {
        text: String,
    }

    fn told(frame: Frame) -> Value {
        let error = read::<Say>(&frame).map(|say| say.text).unwrap_err();
        serde_json::to_value(error).unwrap()
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
