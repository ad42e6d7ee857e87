//! `[[groups]]`: rules of the groups whose names match a pattern.

use super::reader::Reader;
use super::schema::join;
use super::settings::GroupSettings;

/// Reads every rule, in order.
pub(super) fn read(reader: &mut Reader<'_>) -> Vec<GroupSettings> {
    let mut groups: Vec<GroupSettings> = Vec::new();
    for (key, node) in reader.entries("groups") {
        let Some(table) = node.table() else { continue };
        let key = join(&key, "pattern");
        let Some(given) = table.get("pattern") else {
            if !reader.problems.has(&key) {
                reader.problems.push_bare(&key, &node.origin, "is missing");
            }
            continue;
        };
        let pattern = given.text().unwrap_or_default();
        match fault(pattern) {
            Some(reason) => reader.problems.push(&key, given, reason),
            None if groups.iter().any(|group| group.pattern == pattern) => {
                let reason = "an earlier rule has the same pattern, so this one never counts";
                reader.problems.push(&key, given, reason);
            }
            None => groups.push(GroupSettings {
                pattern: pattern.to_owned(),
            }),
        }
    }
    groups
}

/// Why no group's name can match the pattern.
fn fault(pattern: &str) -> Option<String> {
    const LONGEST: usize = 255;
    let literal = pattern.bytes().filter(|byte| *byte != b'*').count();
    if pattern.is_empty() {
        Some("is empty, so it matches no group".to_owned())
    } else if literal > LONGEST {
        Some(format!("the name of a group has at most {LONGEST} bytes"))
    } else {
        let control = pattern.chars().any(char::is_control);
        control.then(|| "the name of a group has no control characters".to_owned())
    }
}
