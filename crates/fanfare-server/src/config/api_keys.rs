//! `[api]`: the keys of the HTTP API.

use super::reader::Reader;
use super::secret_file::{self, Secret};
use super::settings::Api;

/// A key of fewer characters is warned about. 16 random hexadecimal digits are 64 bits.
const SHORTEST: usize = 16;

/// What samples and documents write in place of a key, without what separates words.
const PLACEHOLDERS: &[&str] = &[
    "apikey",
    "changeit",
    "changeme",
    "changethis",
    "example",
    "insertkeyhere",
    "mykey",
    "password",
    "placeholder",
    "replaceme",
    "secretkey",
    "todo",
    "yourapikey",
    "yourkey",
    "yoursecret",
    "yoursecretkey",
];

/// Reads the keys, or those of the file.
pub(super) fn read(reader: &mut Reader<'_>) -> Api {
    let mut known: Vec<Secret> = Vec::new();
    for secret in secret_file::list(reader, "api.keys") {
        let twin = known.iter().find(|other| other.text == secret.text);
        let reason = match twin {
            Some(twin) => Some(format!("is the same key as {}", twin.place())),
            None => fault(&secret.text).map(str::to_owned),
        };
        if let Some(reason) = reason {
            secret.refuse(reader.problems, &reason);
            continue;
        }
        if secret.text.len() < SHORTEST {
            let warning = format!(
                "is shorter than {SHORTEST} characters, so it can be guessed: use a random one, such as \
                 the output of \"openssl rand -hex 16\""
            );
            secret.warn(reader.problems, &warning);
        }
        known.push(secret);
    }
    Api {
        keys: known.into_iter().map(|secret| secret.text).collect(),
        made: false,
    }
}

/// Why a key cannot be used, without the key.
fn fault(key: &str) -> Option<&'static str> {
    if key.is_empty() {
        return Some("is empty, so everyone knows it");
    }
    // What cannot stand in a header could never be sent.
    if !key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Some("may only have visible ASCII characters without spaces");
    }
    let letters = key.bytes().filter(u8::is_ascii_alphanumeric);
    let word: String = letters
        .map(|byte| char::from(byte.to_ascii_lowercase()))
        .collect();
    let is_placeholder = PLACEHOLDERS.contains(&word.as_str());
    is_placeholder.then_some("stands in place of a key, so everyone knows it")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_placeholder_is_known_however_it_is_written() {
        for key in [
            "changeme",
            "CHANGE_ME",
            "change-me!",
            "<your-api-key>",
            "Password",
        ] {
            assert!(
                fault(key).is_some_and(|it| it.contains("in place of a key")),
                "{key}"
            );
        }
        for key in ["secret", "a", "***", "changeme2", "3f9c0b"] {
            assert_eq!(fault(key), None, "{key}");
        }
    }
}
