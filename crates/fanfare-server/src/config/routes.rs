//! `[[routes]]`: what each may say, and what they may not say together.

use std::collections::{BTreeMap, HashMap};

use fanfare_protocol::{GroupName, event_rules};
use fanfare_web::template::{GroupTemplate, PathTemplate, TemplateError};

use super::reader::Reader;
use super::schema::join;
use super::settings::{DeliverSettings, OnReceive, RouteSettings, Settings, UserSource};
use super::tree::{Node, Table, Value};

/// What the server itself answers below; a route there would never be reached.
const OWN_PATHS: [&str; 4] = ["/api/", "/health/", "/metrics/", "/static/"];

/// Reads every route; what is wrong with one does not hide what is wrong with the next.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<RouteSettings> {
    let mut routes = Vec::new();
    // Paths without their parameters' names, to the key of the route that has them.
    let mut taken: HashMap<String, String> = HashMap::new();
    for (key, node) in reader.entries("routes") {
        let Some(table) = node.table() else { continue };
        let mut route = RouteReader {
            key: &key,
            node,
            table,
            reader,
        };
        let Some(settings) = route.read() else {
            continue;
        };
        let first = taken
            .entry(comparable(settings.path.as_str()))
            .or_insert_with(|| key.clone());
        if *first != key {
            let reason = format!("{first} has the same path");
            route.refuse("path", reason);
        }
        routes.push(settings);
    }
    routes
}

/// Two paths that match the same requests, as far as text can tell, have one comparable form.
fn comparable(path: &str) -> String {
    let mut form = String::new();
    let mut depth = 0_usize;
    let mut in_name = false;
    for letter in path.strip_suffix('/').unwrap_or(path).chars() {
        match letter {
            '{' => {
                in_name = depth == 0;
                depth += 1;
            }
            '}' => depth = depth.saturating_sub(1),
            ':' if depth == 1 => in_name = false,
            _ => {}
        }
        if !in_name || letter == '{' {
            form.push(letter);
        }
        if depth == 0 && in_name {
            in_name = false;
            form.push(letter);
        }
    }
    form
}

/// Decides for each route who says who the client is: where the application is asked, the client
/// is not.
pub(super) fn settle_auth(settings: &mut Settings) {
    for route in &mut settings.routes {
        route.auth &= settings.auth.is_some();
        if route.auth {
            route.user = None;
        }
    }
}

struct RouteReader<'r, 'a> {
    key: &'r str,
    node: &'a Node,
    table: &'a Table,
    reader: &'r mut Reader<'a>,
}

impl RouteReader<'_, '_> {
    /// The route, or `None` when its path is wrong.
    fn read(&mut self) -> Option<RouteSettings> {
        let path = self.path();
        let groups = self.groups(path.as_ref());
        let settings = RouteSettings {
            path: path?,
            groups,
            on_receive: self.on_receive(),
            event_type: self.text("event_type"),
            exclude_sender: self.flag("exclude_sender", false),
            welcome: self.flag("welcome", false),
            deliver_unknown: self.flag("deliver_unknown", true),
            auth: self.flag("auth", true),
            user: self.user(),
            reply: self.text("reply").unwrap_or_else(|| "OK".to_owned()),
            deliver: self.deliver(),
        };
        self.check_publishing(&settings);
        Some(settings)
    }

    fn path(&mut self) -> Option<PathTemplate> {
        let Some(text) = self.text("path") else {
            self.refuse_missing("path");
            return None;
        };
        if text.contains(['?', '#']) && !text.contains('{') {
            self.refuse("path", "a path must have no query and no fragment");
        }
        let slashed = format!("{}/", text.trim_end_matches('/'));
        if OWN_PATHS.iter().any(|own| slashed.starts_with(own)) {
            self.refuse("path", "the server answers this path itself");
        }
        match PathTemplate::parse(&text) {
            Ok(path) => Some(path),
            Err(error) => {
                self.refuse("path", error.to_string());
                None
            }
        }
    }

    /// Each template alone, so that one broken one does not hide the next.
    fn groups(&mut self, path: Option<&PathTemplate>) -> Vec<GroupTemplate> {
        let mut groups = Vec::new();
        let items = self.table.get("groups").map_or(&[][..], Node::items);
        for (index, node) in items.iter().enumerate() {
            let text = node.text().unwrap_or_default();
            let group = path.map(|path| group_of(text, path));
            let reason = match &group {
                Some(Err(error)) => Some(error.to_string()),
                _ => illegal_literal(text),
            };
            if let Some(reason) = reason {
                let key = format!("{}.groups[{index}]", self.key);
                self.reader.problems.push(&key, node, reason);
            }
            groups.extend(group.and_then(Result::ok));
        }
        groups
    }

    fn check_publishing(&mut self, settings: &RouteSettings) {
        if let Some(kind) = &settings.event_type
            && let Err(reason) = event_rules::check_type(kind)
        {
            self.refuse("event_type", reason);
        }
        if settings.on_receive == OnReceive::GroupSend {
            if settings.event_type.is_none() {
                self.refuse("on_receive", "\"group_send\" needs an event_type");
            }
            if settings.groups.is_empty() {
                self.refuse("on_receive", "\"group_send\" needs a group to publish to");
            }
        }
    }

    fn on_receive(&self) -> OnReceive {
        match self.text("on_receive").as_deref() {
            Some("echo") => OnReceive::Echo,
            Some("group_send") => OnReceive::GroupSend,
            Some("reply") => OnReceive::Reply,
            _ => OnReceive::Ignore,
        }
    }

    fn user(&mut self) -> Option<UserSource> {
        let table = self.table.get("user")?.table()?;
        match table.get("query").and_then(Node::text) {
            Some(query) if !query.is_empty() => Some(UserSource {
                query: query.to_owned(),
            }),
            _ => {
                self.refuse(
                    "user",
                    "needs the name of a query parameter: { query = \"user\" }",
                );
                None
            }
        }
    }

    fn deliver(&mut self) -> BTreeMap<String, DeliverSettings> {
        let mut deliver = BTreeMap::new();
        for (kind, entry) in self
            .table
            .get("deliver")
            .and_then(Node::table)
            .into_iter()
            .flatten()
        {
            let send = entry
                .table()
                .and_then(|entry| entry.get("send"))
                .and_then(Node::text);
            match send {
                Some(field) if !field.is_empty() => {
                    deliver.insert(
                        kind.clone(),
                        DeliverSettings {
                            send: field.to_owned(),
                        },
                    );
                }
                _ => {
                    let key = join(&join(self.key, "deliver"), kind);
                    let reason = "needs the field to send: send = \"message\"";
                    self.reader.problems.push(&key, entry, reason);
                }
            }
        }
        deliver
    }

    fn text(&self, name: &str) -> Option<String> {
        self.table.get(name).and_then(Node::text).map(str::to_owned)
    }

    fn flag(&self, name: &str, default: bool) -> bool {
        match self.table.get(name).map(|node| &node.value) {
            Some(Value::Bool(flag)) => *flag,
            _ => default,
        }
    }

    /// Refuses the route for a key that it lacks, unless it has the key with a value of the wrong type.
    fn refuse_missing(&mut self, name: &str) {
        if !self.reader.problems.has(&join(self.key, name)) {
            self.refuse(name, "is missing");
        }
    }

    fn refuse(&mut self, name: &str, reason: impl Into<String>) {
        let key = join(self.key, name);
        match self.table.get(name) {
            Some(node) => self.reader.problems.push(&key, node, reason),
            None => self
                .reader
                .problems
                .push_bare(&key, &self.node.origin, reason),
        }
    }
}

/// The template of a group whose parameters the path has.
fn group_of(text: &str, path: &PathTemplate) -> Result<GroupTemplate, TemplateError> {
    let group = GroupTemplate::parse(text)?;
    group.check(path)?;
    Ok(group)
}

/// What no parameter can put right: a character that group names do not have, or too many bytes.
fn illegal_literal(template: &str) -> Option<String> {
    let mut depth = 0_usize;
    let mut literal = String::new();
    for letter in template.chars() {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ if depth == 0 => literal.push(letter),
            _ => {}
        }
    }
    if literal.is_empty() && !template.is_empty() {
        return None;
    }
    GroupName::parse(&literal)
        .err()
        .map(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_match_the_same_have_one_form() {
        assert_eq!(comparable("/a/{x}/"), comparable("/a/{room}"));
        assert_eq!(
            comparable("/a/{x:[a-z]{2}}/b"),
            comparable("/a/{y:[a-z]{2}}/b")
        );
        assert_ne!(comparable("/a/{x:[a-z]}"), comparable("/a/{x:[0-9]}"));
        assert_ne!(comparable("/a/{x}"), comparable("/a/x"));
    }

    #[test]
    fn characters_that_no_group_has_are_named() {
        assert!(illegal_literal("a\t{x}").is_some_and(|reason| reason.contains("U+0009")));
        assert!(illegal_literal("").is_some_and(|reason| reason.contains("0 bytes")));
        assert!(illegal_literal(&"é".repeat(128)).is_some_and(|reason| reason.contains("256")));
        for template in ["chat_{x}", "{x}", "user:{x}", "café {x}"] {
            assert_eq!(illegal_literal(template), None);
        }
    }
}
