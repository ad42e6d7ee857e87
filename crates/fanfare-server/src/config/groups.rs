//! `[[groups]]`: rules of the groups whose names match a pattern.

use fanfare_layer::GroupRules;

use super::reader::Reader;
use super::schema::join;

/// Reads every rule, in order.
pub(super) fn read(reader: &mut Reader<'_>) -> GroupRules {
    let mut rules = GroupRules::default();
    for (key, node) in reader.entries("groups") {
        let Some(table) = node.table() else { continue };
        let key = join(&key, "pattern");
        let Some(given) = table.get("pattern") else {
            if !reader.problems.has(&key) {
                reader.problems.push_bare(&key, &node.origin, "is missing");
            }
            continue;
        };
        if let Err(error) = rules.push(given.text().unwrap_or_default()) {
            reader.problems.push(&key, given, error.reason);
        }
    }
    rules
}
