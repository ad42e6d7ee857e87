//! Every key of the configuration, declared once.
//!
//! The check of a configuration, `config/fanfare.toml` and the tables of `docs/CONFIGURATION.md`
//! are made from [`SECTIONS`]. Sections and keys stand in the order in which the file shows them.
//!
//! To add a key, declare it here, add a field to `settings.rs` and the line that reads it, and run
//! `FANFARE_UPDATE=1 cargo test -p fanfare-server documents`, which rewrites the two documents. Its
//! type and range are checked before it is read.

mod layer;
mod limits;
mod routes;
mod server;

/// Longer waits are mistakes in the unit.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;

/// A table of the configuration.
pub(super) struct Section {
    /// The dotted path. `[]` marks a list of tables, `*` stands for any name.
    pub(super) path: &'static str,
    /// What the table is for.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests write the documents"))]
    pub(super) doc: &'static str,
    pub(super) keys: &'static [Key],
}

/// A key of a section.
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    pub(super) shown: Shown,
    /// The default as TOML; `none` or `required` where there is none.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests write the documents"))]
    pub(super) default: &'static str,
    /// What a number counts.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests write the documents"))]
    pub(super) unit: &'static str,
    /// The description. Links may be in Markdown; the file shows their text alone.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests write the documents"))]
    pub(super) doc: &'static str,
}

/// What may be shown of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// All of it.
    Whole,
    /// A URL without what stands in front of its host, in its query and in its fragment.
    Url,
    /// Redis hosts, without what could be a password.
    Hosts,
    /// Nothing: it is a secret.
    Nothing,
}

/// What a key takes.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Text,
    Flag,
    /// An integer in a range, both ends included.
    Number(i64, i64),
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// One text, or several.
    TextOrTexts,
    Texts,
    /// One text, or several, none with a comma. Plain text of the environment may separate them by
    /// commas.
    WordOrWords,
    /// Several texts of that kind.
    Words,
    /// Redis hosts: texts, tables or `[host, port]`.
    Hosts,
    /// Pairs of a text and a number.
    Pairs,
}

/// What a name stands for in a table.
pub(super) enum Entry {
    Key(&'static Key),
    /// A table, with the path of its section.
    Table(String),
    /// A list of tables, with the path of their section.
    Tables(String),
}

/// All sections.
pub(super) const SECTIONS: &[&[Section]] = &[
    server::SECTIONS,
    layer::SECTIONS,
    limits::SECTIONS,
    routes::SECTIONS,
];

const fn key(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    unit: &'static str,
    doc: &'static str,
) -> Key {
    Key {
        name,
        kind,
        shown: Shown::Whole,
        default,
        unit,
        doc,
    }
}

impl Key {
    const fn showing(self, shown: Shown) -> Self {
        Self { shown, ..self }
    }
}

/// A key that takes milliseconds.
const fn milliseconds(
    name: &'static str,
    least: i64,
    default: &'static str,
    doc: &'static str,
) -> Key {
    key(name, Kind::Number(least, DAY_MS), default, "ms", doc)
}

/// The key of a dotted path without lists.
pub(super) fn find(path: &str) -> Option<&'static Key> {
    let (section, name) = path.rsplit_once('.').unwrap_or(("", path));
    let keys = self::section(section)?.keys;
    keys.iter().find(|key| key.name == name)
}

/// The key of a path as errors have it: `routes[0].deliver."chat.message".send`, `api.keys[1]`.
pub(super) fn declared(path: &str) -> Option<&'static Key> {
    let mut section = String::new();
    let mut names = names_of(path);
    while let Some(name) = names.next() {
        match entry(&section, &name)? {
            Entry::Key(key) => return names.next().is_none().then_some(key),
            Entry::Table(inner) | Entry::Tables(inner) => section = inner,
        }
    }
    None
}

/// The names of a path, without quotes and without the numbers of lists.
fn names_of(path: &str) -> impl Iterator<Item = String> {
    let mut quoted = false;
    let parts = path.split(move |letter| {
        quoted ^= letter == '"';
        letter == '.' && !quoted
    });
    parts.map(|part| match part.strip_prefix('"') {
        Some(rest) => rest
            .rsplit_once('"')
            .map_or(rest, |(name, _)| name)
            .to_owned(),
        None => part.split('[').next().unwrap_or_default().to_owned(),
    })
}

/// All sections, in order.
pub(super) fn sections() -> impl Iterator<Item = &'static Section> {
    SECTIONS.iter().copied().flatten()
}

/// What `name` stands for in the table of the section at `path`.
pub(super) fn entry(path: &str, name: &str) -> Option<Entry> {
    let keys = section(path).map_or(&[][..], |section| section.keys);
    if let Some(key) = keys.iter().find(|key| key.name == name) {
        return Some(Entry::Key(key));
    }
    let inner = below(path, name);
    let rows = format!("{inner}[]");
    let any = below(path, "*");
    if exists(&inner) {
        Some(Entry::Table(inner))
    } else if exists(&rows) {
        Some(Entry::Tables(rows))
    } else {
        exists(&any).then_some(Entry::Table(any))
    }
}

/// The names that a table of the section at `path` may have, each once.
pub(super) fn names(path: &str) -> Vec<&'static str> {
    let keys = section(path).map_or(&[][..], |section| section.keys);
    let mut names: Vec<_> = keys.iter().map(|key| key.name).collect();
    for section in sections() {
        let rest = match path {
            "" => Some(section.path),
            path => section
                .path
                .strip_prefix(path)
                .and_then(|rest| rest.strip_prefix('.')),
        };
        let first = rest.and_then(|rest| rest.split(['.', '[']).next());
        if let Some(first) = first.filter(|first| !first.is_empty() && !names.contains(first)) {
            names.push(first);
        }
    }
    names
}

/// The full name of the key that stands in exactly one section, whatever the section.
pub(super) fn place_of(name: &str) -> Option<String> {
    let mut places = sections().filter(|section| {
        let named = !section.path.is_empty() && !section.path.contains("[]");
        named && section.keys.iter().any(|key| key.name == name)
    });
    match (places.next(), places.next()) {
        (Some(section), None) => Some(below(section.path, name)),
        _ => None,
    }
}

fn section(path: &str) -> Option<&'static Section> {
    sections().find(|section| section.path == path)
}

/// Whether there is a section at this path or below it.
fn exists(path: &str) -> bool {
    sections().any(|section| {
        let rest = section.path.strip_prefix(path);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    })
}

fn below(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}.{name}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_of_an_error_names_its_declared_key() {
        let name = |path| declared(path).map(|key| key.name);
        assert_eq!(name("development"), Some("development"));
        assert_eq!(name("api.keys"), Some("keys"));
        assert_eq!(name("api.keys[12]"), Some("keys"));
        assert_eq!(name("routes[3].user.query"), Some("query"));
        assert_eq!(
            name("routes[0].deliver.\"chat.message\".send"),
            Some("send")
        );
        for unknown in [
            "",
            "api",
            "api.kyes",
            "key",
            "routes[0]",
            "routes[0].pass",
            "api.keys.x",
        ] {
            assert_eq!(name(unknown), None, "{unknown}");
        }
    }
}
