//! JSON as Python's `json.loads` reads it. serde_json cannot be used here: it knows no `NaN`, refuses
//! the whole message for half a surrogate pair and rounds large integers.

mod scalars;

use bytes::Bytes;
use bytestring::ByteString;

use super::META_MARK;
use crate::envelope::META_KEY;
use crate::error::DecodeError;
use crate::event::{MAX_DEPTH, Value};
use crate::fields::Fields;
use crate::parts::Parts;

type Read<T> = Result<T, DecodeError>;

/// Hands every entry of the message's object over as it comes.
pub(super) fn read_into(parts: &mut Parts, text: &Bytes) -> Read<()> {
    let mut parser = Parser { text, at: 0 };
    let mut may_be_metadata = parser.peek() == Some(META_MARK);
    parser.blank();
    if parser.peek() == Some(b'{') {
        parser.at += 1;
        parser.members(1, |at, key, value| {
            if std::mem::take(&mut may_be_metadata) && key == META_KEY {
                parts.take_metadata(value, |reason| DecodeError::Json { at, reason })
            } else {
                parts.take(key, value)
            }
        })?;
    } else {
        let found = parser.value(1)?.described();
        return Err(DecodeError::NotAMap { found });
    }
    parser.blank();
    if parser.at != text.len() {
        return parser.fault("text follows the message");
    }
    Ok(())
}

struct Parser<'a> {
    text: &'a Bytes,
    at: usize,
}

impl Parser<'_> {
    fn fault<T>(&self, reason: &'static str) -> Read<T> {
        Err(DecodeError::Json {
            at: self.at,
            reason,
        })
    }

    fn rest(&self) -> &[u8] {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    fn blank(&mut self) {
        let blank = |byte: &&u8| matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
        self.at += self.rest().iter().take_while(blank).count();
    }

    /// Whether `word` is next, which is then behind.
    fn word(&mut self, word: &str) -> bool {
        let is_next = self.rest().starts_with(word.as_bytes());
        if is_next {
            self.at += word.len();
        }
        is_next
    }

    fn expect(&mut self, word: &str, reason: &'static str) -> Read<()> {
        if self.word(word) {
            return Ok(());
        }
        match self.peek() {
            Some(_) => self.fault(reason),
            None => self.fault("the message is cut short"),
        }
    }

    /// A value that stands inside `depth` lists and maps.
    fn value(&mut self, depth: usize) -> Read<Value> {
        self.blank();
        match self.peek() {
            Some(b'"') => self.string().map(Value::Str),
            Some(b'{') => {
                let depth = self.deeper(depth)?;
                let mut fields = Fields::default();
                self.members(depth, |_, key, value| {
                    fields.insert(key, value);
                    Ok(())
                })?;
                Ok(Value::Map(fields.into_entries()))
            }
            Some(b'[') => {
                let depth = self.deeper(depth)?;
                self.items(depth)
            }
            Some(b'0'..=b'9') => self.number(),
            None => self.fault("the message is cut short"),
            _ => self.named(),
        }
    }

    /// What has a name of its own, and negative numbers, which begin as one of the names does.
    fn named(&mut self) -> Read<Value> {
        let names = [
            ("null", Value::Nil),
            ("true", Value::Bool(true)),
            ("false", Value::Bool(false)),
            ("NaN", Value::Float(f64::NAN)),
            ("Infinity", Value::Float(f64::INFINITY)),
            ("-Infinity", Value::Float(f64::NEG_INFINITY)),
        ];
        match names.into_iter().find(|(name, _)| self.word(name)) {
            Some((_, value)) => Ok(value),
            None if self.peek() == Some(b'-') => self.number(),
            None => self.fault("a value is expected"),
        }
    }

    /// Steps over an opening bracket.
    fn deeper(&mut self, depth: usize) -> Read<usize> {
        if depth >= MAX_DEPTH {
            return self.fault("lists and maps are nested more than 64 deep");
        }
        self.at += 1;
        Ok(depth + 1)
    }

    fn items(&mut self, depth: usize) -> Read<Value> {
        let mut items = Vec::new();
        self.blank();
        if self.word("]") {
            return Ok(Value::List(items));
        }
        loop {
            items.push(self.value(depth)?);
            self.blank();
            if self.word("]") {
                return Ok(Value::List(items));
            }
            self.expect(",", "a comma or ] is expected")?;
        }
    }

    /// The entries of an object; `take` gets each with the place of its value.
    fn members(
        &mut self,
        depth: usize,
        mut take: impl FnMut(usize, ByteString, Value) -> Read<()>,
    ) -> Read<()> {
        self.blank();
        if self.word("}") {
            return Ok(());
        }
        loop {
            self.blank();
            if self.peek().is_some_and(|byte| byte != b'"') {
                return self.fault("a key is expected");
            }
            let key = self.string()?;
            self.blank();
            self.expect(":", "a colon is expected")?;
            self.blank();
            let at = self.at;
            take(at, key, self.value(depth)?)?;
            self.blank();
            if self.word("}") {
                return Ok(());
            }
            self.expect(",", "a comma or } is expected")?;
        }
    }
}
