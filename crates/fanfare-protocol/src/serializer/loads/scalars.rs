//! Strings and numbers.

use bytestring::ByteString;

use super::{Parser, Read};
use crate::event::Value;

impl Parser<'_> {
    /// A string; it points into the message when nothing in it is escaped.
    pub(super) fn string(&mut self) -> Read<ByteString> {
        self.expect("\"", "a string is expected")?;
        let start = self.at;
        self.plain()?;
        if self.peek() == Some(b'"') {
            let text = ByteString::try_from(self.text.slice(start..self.at));
            self.at += 1;
            return text.or_else(|error| {
                self.at = start + error.valid_up_to();
                self.fault("the string is not UTF-8")
            });
        }
        let mut text = String::from(self.utf8(start)?);
        loop {
            match self.peek() {
                Some(b'\\') => text.push(self.escaped()?),
                Some(_) => {
                    self.at += 1;
                    return Ok(text.into());
                }
                None => return self.fault("the message is cut short"),
            }
            let start = self.at;
            self.plain()?;
            text.push_str(self.utf8(start)?);
        }
    }

    /// Steps to the next quote or backslash.
    fn plain(&mut self) -> Read<()> {
        let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
        self.at += match self.rest().iter().position(special) {
            Some(len) => len,
            None => self.rest().len(),
        };
        match self.peek() {
            Some(b'"' | b'\\') => Ok(()),
            Some(_) => self.fault("a control character is not escaped"),
            None => self.fault("the message is cut short"),
        }
    }

    fn utf8(&self, start: usize) -> Read<&str> {
        let bytes = self.text.get(start..self.at).unwrap_or_default();
        std::str::from_utf8(bytes).or_else(|error| {
            let at = start + error.valid_up_to();
            Parser { at, ..*self }.fault("the string is not UTF-8")
        })
    }

    fn escaped(&mut self) -> Read<char> {
        let [b'\\', letter, ..] = *self.rest() else {
            self.at = self.text.len();
            return self.fault("the message is cut short");
        };
        let char = match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.utf16(),
            _ => return self.fault("the escape is unknown"),
        };
        self.at += 2;
        Ok(char)
    }

    /// One `\uXXXX`, or two that are one character. Half a pair, which Python has strings with, is
    /// replaced.
    fn utf16(&mut self) -> Read<char> {
        let Some(unit) = self.unit() else {
            return self.fault("four hexadecimal digits are expected");
        };
        self.at += 6;
        if let Some(Ok(char)) = char::decode_utf16([unit]).next() {
            return Ok(char);
        }
        let pair = self
            .unit()
            .map(|low| char::decode_utf16([unit, low]).next());
        if let Some(Some(Ok(char))) = pair {
            self.at += 6;
            return Ok(char);
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    /// The `\uXXXX` that is next.
    fn unit(&self) -> Option<u16> {
        let digits = self.rest().strip_prefix(b"\\u")?.first_chunk::<4>()?;
        digits.iter().try_fold(0, |unit, digit| {
            let digit = char::from(*digit).to_digit(16)?;
            Some(unit << 4 | digit as u16)
        })
    }

    /// What is as long as a number can be, with Python's idea of which of them are integers.
    pub(super) fn number(&mut self) -> Read<Value> {
        let start = self.at;
        self.word("-");
        if !self.word("0") {
            self.digits()?;
        }
        let mut is_float = self.word(".");
        if is_float {
            self.digits()?;
        }
        if self.word("e") || self.word("E") {
            is_float = true;
            if !self.word("-") {
                self.word("+");
            }
            self.digits()?;
        }
        let text = self.utf8(start)?;
        let value = if is_float {
            text.parse().ok().map(Value::Float)
        } else {
            let small = text.parse().ok().map(Value::Int);
            small.or_else(|| text.parse().ok().map(Value::UInt))
        };
        value.map_or_else(
            || Parser { at: start, ..*self }.fault("the integer does not fit 64 bits"),
            Ok,
        )
    }

    fn digits(&mut self) -> Read<()> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit());
        match count.count() {
            0 if self.peek().is_none() => self.fault("the message is cut short"),
            0 => self.fault("a digit is expected"),
            count => {
                self.at += count;
                Ok(())
            }
        }
    }
}
