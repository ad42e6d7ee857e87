//! Writes `config/fanfare.toml` and the tables of `docs/CONFIGURATION.md` from the declared keys.
//!
//! `FANFARE_UPDATE=1 cargo test -p fanfare-server documents` rewrites both. Without the variable
//! the test fails when they differ.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::super::keys::{self, Key, Kind, Section};

/// The longest line of a comment.
const WIDTH: usize = 98;

const HEAD: &str = "\
# Every key of Fanfare with its default. The server contains this file. It is generated from
# crates/fanfare-server/src/config/keys.
#
# The server takes values from these sources. A later source overrides an earlier one.
#   1. this file
#   2. your file:             fanfare --config my.toml
#   3. the environment:       FANFARE__HTTP__BIND=0.0.0.0:8000      (two underscores between names)
#   4. the command line:      fanfare --set http.bind=0.0.0.0:8000
# Your file needs only the keys that differ. `fanfare check --print` shows the result.
#
# Names that end in _ms are milliseconds, names that end in _bytes are bytes.
";

/// What the routes of the file say; the first one shows every key.
const ROUTES: &str = "
# WebSocket routes. These four are examples: one [[routes]] in your own file replaces all of them.
# The first one shows every key of a route but `user`.
";
const CHAT: &[(&str, &str)] = &[
    ("path", "\"/ws/chat/{room}/\""),
    ("groups", "[\"chat_{room}\"]"),
    ("on_receive", "\"group_send\""),
    ("event_type", "\"chat.message\""),
    ("send", "\"message\""),
];
const OTHERS: &str = r#"
[[routes]]
path = "/ws/notifications"
groups = ["notifications"]
on_receive = "ignore"
welcome = true

[[routes]]
path = "/ws/echo"
on_receive = "echo"

[[routes]]
path = "/room/{group}"
groups = ["{group}"]
on_receive = "reply"
reply = "OK"
"#;

#[test]
fn the_documents_are_those_of_the_declared_keys() {
    let file = repository("config/fanfare.toml");
    let page = repository("docs/CONFIGURATION.md");
    let text = fs::read_to_string(&page).expect("the page");
    let tables = with_tables(&text);
    if std::env::var_os("FANFARE_UPDATE").is_some() {
        fs::write(&file, toml()).expect("written");
        fs::write(&page, tables).expect("written");
        return;
    }
    let command = "run FANFARE_UPDATE=1 cargo test -p fanfare-server documents";
    let written = fs::read_to_string(&file).expect("the file");
    assert!(written == toml(), "{} is old: {command}", file.display());
    assert!(text == tables, "{} is old: {command}", page.display());
}

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../..")
        .join(path)
}

fn toml() -> String {
    let mut out = HEAD.to_owned();
    for section in keys::sections().filter(|section| !section.path.starts_with("groups")) {
        if section.path == "routes[].user" {
            // No shipped route has it.
            continue;
        }
        heading(&mut out, section);
        for key in section.keys {
            comment(&mut out, &described(key));
            let example = CHAT.iter().find(|(name, _)| *name == key.name);
            let shown = match example {
                Some((_, value)) if section.path.contains("[]") => *value,
                _ => key.default,
            };
            writeln!(out, "{} = {shown}", key.name).expect("a String");
        }
    }
    out.push_str(OTHERS);
    out.push_str("\n# Below a route of your own, with `development = true` alone.\n");
    commented(&mut out, "routes[].user", "# [routes.user]\n", "\"user\"");
    out.push_str(
        "\n# Rules of groups, none by default. The first rule whose pattern matches a group counts.\n",
    );
    commented(&mut out, "groups[]", "# [[groups]]\n", "\"chat_*\"");
    out
}

/// A section that is not set, with an example of its keys.
fn commented(out: &mut String, path: &str, heading: &str, example: &str) {
    for section in keys::sections().filter(|section| section.path == path) {
        out.push_str(heading);
        for key in section.keys {
            comment(out, &described(key));
            writeln!(out, "# {} = {example}", key.name).expect("a String");
        }
    }
}

fn heading(out: &mut String, section: &Section) {
    match section.path {
        "" => out.push('\n'),
        "routes[]" => {
            out.push_str(ROUTES);
            out.push_str("[[routes]]\n");
        }
        path => {
            out.push('\n');
            if !section.doc.is_empty() {
                comment(out, section.doc);
            }
            let path = path.replace("[]", "").replace('*', "\"chat.message\"");
            writeln!(out, "[{path}]").expect("a String");
        }
    }
}

/// The description with the default of a key that the file shows with another value.
fn described(key: &Key) -> String {
    let shown = CHAT.iter().any(|(name, _)| *name == key.name);
    match key.default {
        "required" | "none" => key.doc.to_owned(),
        default if shown => format!("{} Default: {default}.", key.doc),
        _ => key.doc.to_owned(),
    }
}

/// Wraps a description into lines of a comment.
fn comment(out: &mut String, text: &str) {
    let mut line = "#".to_owned();
    let text = without_links(text);
    for word in text.split(' ') {
        if line.chars().count() + 1 + word.chars().count() > WIDTH {
            writeln!(out, "{line}").expect("a String");
            "#".clone_into(&mut line);
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(out, "{line}").expect("a String");
}

/// `[text](target)` as `text`.
fn without_links(text: &str) -> String {
    let mut plain = text.to_owned();
    while let Some(middle) = plain.find("](") {
        let start = plain[..middle].rfind('[').expect("a link's text");
        let end = middle + plain[middle..].find(')').expect("a link's end");
        let link = plain[start + 1..middle].to_owned();
        plain.replace_range(start..=end, &link);
    }
    plain
}

/// The page with the tables of its marked places rewritten.
fn with_tables(page: &str) -> String {
    let of = |list: bool, start: &'static str| {
        keys::sections().filter(move |section| {
            section.path.contains("[]") == list && section.path.starts_with(start)
        })
    };
    let page = replaced(page, "keys", of(false, ""));
    let page = replaced(&page, "routes", of(true, "routes"));
    replaced(&page, "groups", of(true, "groups"))
}

fn replaced(page: &str, mark: &str, sections: impl Iterator<Item = &'static Section>) -> String {
    let (start, end) = (
        format!("<!-- table of {mark}, generated -->\n"),
        "<!-- end -->",
    );
    let (before, rest) = page.split_once(&start).expect(mark);
    let (_, after) = rest.split_once(end).expect(mark);
    format!("{before}{start}{}{end}{after}", table(sections))
}

fn table(sections: impl Iterator<Item = &'static Section>) -> String {
    let mut out =
        "\n| key | default | unit | range | meaning |\n|---|---|---|---|---|\n".to_owned();
    for section in sections {
        let path = section.path.replace("[]", "");
        for key in section.keys {
            let dot = if path.is_empty() { "" } else { "." };
            let default = match key.default {
                word @ ("none" | "required") => word.to_owned(),
                value => format!("`{value}`"),
            };
            let (name, unit, doc) = (key.name, key.unit, key.doc);
            let range = range(key.kind);
            writeln!(
                out,
                "| `{path}{dot}{name}` | {default} | {unit} | {range} | {doc} |"
            )
            .expect("a String");
        }
    }
    out.push('\n');
    out
}

fn range(kind: Kind) -> String {
    match kind {
        Kind::Number(least, most) => format!("{least} to {most}"),
        _ => String::new(),
    }
}
