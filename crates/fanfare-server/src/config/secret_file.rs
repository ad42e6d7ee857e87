//! Secrets in files: the `*_file` beside the key of a secret.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;

use super::problem::Problems;
use super::reader::Reader;
use super::schema::join;
use super::tree::Origin;

/// More is no list of keys.
const LARGEST: u64 = 64 * 1024;
/// Permissions of everybody else.
const OTHERS_READ: u32 = 0o004;
const OTHERS_WRITE: u32 = 0o002;

/// One secret of a list, and where it stands.
pub(super) struct Secret {
    pub(super) text: String,
    key: String,
    origin: Origin,
}

impl Secret {
    /// Notes what is wrong with it, without it.
    pub(super) fn refuse(&self, problems: &mut Problems, reason: &str) {
        problems.push_bare(&self.key, &self.origin, reason);
    }

    /// Notes what is dangerous about it.
    pub(super) fn warn(&self, problems: &mut Problems, warning: &str) {
        problems.warn(&self.key, &self.origin, warning);
    }

    /// Where it stands, for people.
    pub(super) fn place(&self) -> String {
        format!("{} ({})", self.key, self.origin)
    }
}

/// The secrets of a list, or those of its file, one a line.
pub(super) fn list(reader: &mut Reader<'_>, key: &str) -> Vec<Secret> {
    let secret = |(key, node): (String, &super::tree::Node)| {
        let text = node.text()?.to_owned();
        let origin = node.origin.clone();
        Some(Secret { text, key, origin })
    };
    let given: Vec<_> = (reader.entries(key).into_iter())
        .filter_map(secret)
        .collect();
    let file_key = format!("{key}_file");
    let path = reader.text(&file_key);
    if path.is_empty() {
        return given;
    }
    if !given.is_empty() {
        let reason = format!("stands beside {key}: only one of the two can be set");
        reader.refuse(&file_key, reason);
        return given;
    }
    let origin = reader.origin(&file_key);
    let Some(text) = read(reader.problems, &file_key, &origin, path) else {
        return Vec::new();
    };
    let secret = |(index, line): (usize, &str)| Secret {
        text: line.to_owned(),
        key: file_key.clone(),
        origin: Origin::new(&format!("{path}:{}", index + 1)),
    };
    // An empty file has one line, which is refused as every empty line is.
    let lines = text.split('\n').map(|line| line.trim_end_matches('\r'));
    lines.enumerate().map(secret).collect()
}

/// The text of a key, or that of its file, and the key to blame for it. `None` if the file has none.
pub(super) fn text(reader: &mut Reader<'_>, key: &'static str) -> Option<(String, String)> {
    let given = reader.text(key);
    let file_key = format!("{key}_file");
    let path = reader.text(&file_key);
    if path.is_empty() {
        return Some((given.to_owned(), key.to_owned()));
    }
    if !given.is_empty() {
        let reason = format!("stands beside {key}: only one of the two can be set");
        reader.refuse(&file_key, reason);
        return None;
    }
    let origin = reader.origin(&file_key);
    let text = read(reader.problems, &file_key, &origin, path)?;
    if text.is_empty() {
        reader.refuse(&file_key, format!("{path} is empty"));
        return None;
    }
    Some((text, file_key))
}

/// Puts the password of `password_file` in its place, in the table of a host.
pub(super) fn fill_password(
    table: &mut serde_json::Map<String, serde_json::Value>,
    key: &str,
    origin: &Origin,
    problems: &mut Problems,
) {
    let Some(path) = table.remove("password_file") else {
        return;
    };
    let key = join(key, "password_file");
    let address = table.get("address").and_then(serde_json::Value::as_str);
    let in_address = address.and_then(|url| url.rsplit_once('@'));
    if table.contains_key("password") || in_address.is_some_and(|(user, _)| has_password(user)) {
        let reason = "stands beside a password: only one of the two can be set";
        problems.push_bare(&key, origin, reason);
        return;
    }
    let Some(path) = path.as_str() else {
        problems.push_bare(&key, origin, "must be the path of a file");
        return;
    };
    match read(problems, &key, origin, path) {
        Some(password) if password.is_empty() => {
            problems.push_bare(&key, origin, format!("{path} is empty"));
        }
        Some(password) => drop(table.insert("password".to_owned(), password.into())),
        None => {}
    }
}

/// Whether there is a colon behind the scheme.
fn has_password(user: &str) -> bool {
    let (_, user) = user.split_once("://").unwrap_or(("", user));
    user.contains(':')
}

/// The text of a file without its final newline. What is wrong with it is noted with its path.
fn read(problems: &mut Problems, key: &str, origin: &Origin, path: &str) -> Option<String> {
    let (mode, mut text) = match open(path) {
        Ok(read) => read,
        Err(error) => {
            problems.push_bare(key, origin, format!("{path} cannot be read: {error}"));
            return None;
        }
    };
    if mode & OTHERS_WRITE != 0 {
        let reason =
            format!("{path} can be changed by every user of this machine (mode {mode:04o})");
        problems.push_bare(key, origin, reason);
        return None;
    }
    if mode & OTHERS_READ != 0 {
        let warning = format!("{path} can be read by every user of this machine (mode {mode:04o})");
        problems.warn(key, origin, &warning);
    }
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    Some(text)
}

/// The permissions of a file and its text.
fn open(path: &str) -> io::Result<(u32, String)> {
    let file = File::open(path)?;
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    // A pipe, as a shell makes it, is its own.
    let mode = match metadata.is_file() {
        true => metadata.permissions().mode() & 0o777,
        false => 0,
    };
    let mut bytes = Vec::new();
    file.take(LARGEST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LARGEST {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    let text = String::from_utf8(bytes).map_err(|_| io::Error::other("it is not UTF-8"))?;
    Ok((mode, text))
}
