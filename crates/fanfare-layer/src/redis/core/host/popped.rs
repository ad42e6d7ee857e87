//! What pops answer.

use bytes::Bytes;
use redis::Value;

/// A message as it was in its sorted set.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::redis::core) struct Popped {
    /// When it was sent, in seconds since 1970, by its sender's clock.
    pub(in crate::redis::core) score: f64,
    pub(in crate::redis::core) body: Bytes,
}

/// What BZPOPMIN answers: the set and its first message, or nothing.
pub(in crate::redis::core) fn first(answer: Value) -> Result<Option<(String, Popped)>, String> {
    let mut parts = match answer {
        Value::Nil => return Ok(None),
        Value::Array(parts) => parts.into_iter(),
        other => return Err(unexpected(&other)),
    };
    let key = match parts.next() {
        Some(Value::BulkString(key)) => String::from_utf8(key).map_err(|it| it.to_string())?,
        other => return Err(unexpected(&other.unwrap_or(Value::Nil))),
    };
    match (parts.next(), parts.next()) {
        (Some(body), Some(score)) => Ok(Some((key, popped(body, score)?))),
        _ => Err("redis popped half a message".into()),
    }
}

/// What ZPOPMIN with a count answers, lowest score first: one flat list, or pairs with RESP3.
pub(in crate::redis::core) fn all(answer: Value) -> Result<Vec<Popped>, String> {
    let parts = match answer {
        Value::Nil => return Ok(Vec::new()),
        Value::Array(parts) => parts,
        other => return Err(unexpected(&other)),
    };
    let mut messages = Vec::with_capacity(parts.len());
    let mut parts = parts.into_iter();
    while let Some(part) = parts.next() {
        let (body, score) = match part {
            Value::Array(pair) => {
                let mut pair = pair.into_iter();
                (pair.next(), pair.next())
            }
            body => (Some(body), parts.next()),
        };
        let (Some(body), Some(score)) = (body, score) else {
            return Err("redis popped half a message".into());
        };
        messages.push(popped(body, score)?);
    }
    Ok(messages)
}

/// An error of the server, in its words, or an answer that nobody asked for.
pub(in crate::redis::core) fn unexpected(answer: &Value) -> String {
    match answer {
        Value::ServerError(error) => error.to_string(),
        // Not the answer itself: it may hold a message.
        _ => "redis answered a pop with something else".into(),
    }
}

fn popped(body: Value, score: Value) -> Result<Popped, String> {
    let score = match &score {
        Value::Double(score) => Some(*score),
        Value::BulkString(score) => str::from_utf8(score).ok().and_then(|it| it.parse().ok()),
        _ => None,
    };
    match (body, score) {
        (Value::BulkString(body), Some(score)) => Ok(Popped {
            score,
            body: body.into(),
        }),
        _ => Err("redis popped no message".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.into())
    }

    fn message(body: &'static str, score: f64) -> Popped {
        let body = Bytes::from_static(body.as_bytes());
        Popped { score, body }
    }

    #[test]
    fn both_protocols_of_redis_are_read() {
        let messages = vec![message("a", 1.5), message("b", f64::INFINITY)];
        let flat = vec![bulk("a"), bulk("1.5"), bulk("b"), bulk("inf")];
        assert_eq!(all(Value::Array(flat)).as_ref(), Ok(&messages));
        let pairs = [("a", 1.5), ("b", f64::INFINITY)];
        let pairs = pairs.map(|(body, score)| Value::Array(vec![bulk(body), Value::Double(score)]));
        assert_eq!(all(Value::Array(pairs.into())), Ok(messages));
        let one = Value::Array(vec![bulk("key"), bulk("a"), bulk("1.5")]);
        assert_eq!(first(one), Ok(Some(("key".into(), message("a", 1.5)))));
        assert_eq!(first(Value::Nil), Ok(None));
    }

    #[test]
    fn an_answer_that_is_no_message_is_an_error() {
        for wrong in [
            Value::Okay,
            Value::Array(vec![bulk("a")]),
            Value::Array(vec![bulk("a"), bulk("x")]),
        ] {
            assert!(all(wrong.clone()).is_err() && first(wrong).is_err());
        }
    }
}
