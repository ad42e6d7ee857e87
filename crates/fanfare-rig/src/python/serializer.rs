//! channels_redis' own serializers, without Redis.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use super::PythonLayer;
use super::error::PythonError;

const LIMIT: Duration = Duration::from_secs(60);

/// A serializer of channels_redis.
#[derive(Debug, Clone)]
pub struct PythonSerializer {
    /// `msgpack` or `json`.
    pub format: &'static str,
    /// The first encrypts, all decrypt; none: nothing is encrypted.
    pub keys: Vec<String>,
    /// Random bytes in front.
    pub prefix: usize,
    /// How long a token is good, in seconds, less ten; none: for ever.
    pub expiry: Option<u64>,
}

impl PythonSerializer {
    fn to_json(&self) -> Value {
        let mut options = Map::new();
        options.insert("format".to_owned(), json!(self.format));
        options.insert("random_prefix_length".to_owned(), json!(self.prefix));
        options.insert("expiry".to_owned(), json!(self.expiry));
        options.insert("symmetric_encryption_keys".to_owned(), json!(self.keys));
        Value::Object(options)
    }
}

impl PythonLayer {
    /// The bytes of each value. A value is in the notation of `tests/python/notation.py`, or
    /// `{"python": expression}`.
    ///
    /// # Errors
    /// When Python is gone; why a value has no bytes is in its place.
    pub async fn pack(
        &mut self,
        serializer: &PythonSerializer,
        values: &[Value],
    ) -> Result<Vec<Result<Vec<u8>, PythonError>>> {
        let serializer = serializer.to_json();
        let command = json!({"do": "pack", "serializer": serializer, "values": values});
        let answers = self.each(&command).await?;
        let bytes = answers.into_iter().map(|answer| match answer {
            Ok(Value::String(digits)) => Ok(Ok(unhex(&digits)?)),
            Ok(other) => bail!("no hexadecimal digits: {other}"),
            Err(error) => Ok(Err(error)),
        });
        bytes.collect()
    }

    /// What Python reads from each message, in the notation of `tests/python/notation.py`.
    ///
    /// # Errors
    /// When Python is gone; why a message is not read is in its place.
    pub async fn unpack(
        &mut self,
        serializer: &PythonSerializer,
        messages: &[impl AsRef<[u8]>],
    ) -> Result<Vec<Result<Value, PythonError>>> {
        let messages: Vec<String> = messages.iter().map(|m| hex(m.as_ref())).collect();
        let serializer = serializer.to_json();
        let command = json!({"do": "unpack", "serializer": serializer, "messages": messages});
        self.each(&command).await
    }

    async fn each(&mut self, command: &Value) -> Result<Vec<Result<Value, PythonError>>> {
        let answers = self.pipe.call(command, LIMIT).await?;
        let answers = answers.as_array().context("a list")?.iter();
        let answers = answers.map(|answer| match answer.get("error") {
            Some(error) => Err(PythonError::of(error)),
            None => Ok(answer.get("ok").cloned().unwrap_or_default()),
        });
        Ok(answers.collect())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(digits: &str) -> Result<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    let bytes = pairs.map(|pair| {
        let pair = std::str::from_utf8(pair)?;
        u8::from_str_radix(pair, 16).with_context(|| format!("not hexadecimal: {pair}"))
    });
    bytes.collect()
}
