//! `fanfare nodes`: what `GET /api/v1/nodes` says, as a table.

use anyhow::Context as _;
use serde_json::Value;

use super::api::Client;
use super::usage::Api;
use super::{Exit, Failed};
use crate::config::Settings;
use crate::output;
use crate::shown::Cut;

/// Prints one line for each node.
pub(super) async fn run(settings: &Settings, api: &Api) -> Result<(), Failed> {
    let client = Client::new(settings, api.url.as_deref(), api.key.as_deref())?;
    let body = client.get_json("/api/v1/nodes").await?;
    let Some(nodes) = body.get("nodes").and_then(Value::as_array) else {
        return Err(Failed::new(
            Exit::Failure,
            "the answer of the server has no list of nodes",
        ));
    };
    Ok(output::print(&table(nodes)).context("writing to standard output")?)
}

/// The columns are the keys that the nodes have: who it is first, the rest in the order in which
/// they come.
fn table(nodes: &[Value]) -> String {
    let mut columns: Vec<&str> = vec!["name", "id"];
    for key in nodes
        .iter()
        .filter_map(Value::as_object)
        .flat_map(|node| node.keys())
    {
        if !columns.contains(&key.as_str()) {
            columns.push(key);
        }
    }
    let head = columns
        .iter()
        .map(|column| Cut(column.to_uppercase()).to_string())
        .collect();
    let body = nodes
        .iter()
        .map(|node| columns.iter().map(|column| cell(node, column)).collect());
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let width = |index: usize| {
        rows.iter()
            .filter_map(|row| row.get(index))
            .map(|cell| cell.chars().count())
            .max()
    };
    let widths: Vec<usize> = (0..columns.len())
        .map(|index| width(index).unwrap_or(0))
        .collect();
    let line = |row: &Vec<String>| {
        let padded = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:<width$}"));
        format!("{}\n", padded.collect::<Vec<_>>().join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

/// What a node says in a column. Another program may pose as the server: it cannot order the terminal
/// about.
fn cell(node: &Value, column: &str) -> String {
    let shown = match node.get(column) {
        None | Some(Value::Null) => return "-".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(Value::Object(layer)) => match layer.get("state").and_then(Value::as_str) {
            Some(state) => state.to_owned(),
            None => Value::Object(layer.clone()).to_string(),
        },
        Some(other) => other.to_string(),
    };
    Cut(shown).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn nodes_stand_in_columns() {
        let nodes = [
            json!({ "id": "1", "name": "ann", "layer": { "state": "up" } }),
            json!({ "id": "2", "name": "barbara", "sessions": 3 }),
        ];
        let shown = table(&nodes);
        let lines: Vec<&str> = shown.lines().collect();
        let expected = [
            "NAME     ID  LAYER  SESSIONS",
            "ann      1   up     -",
            "barbara  2   -      3",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn a_node_cannot_order_the_terminal_about() {
        let shown = table(&[json!({ "id": "1\u{1b}[2J", "name": "a\nb", "\u{9b}": 1 })]);
        assert!(
            !shown
                .trim_end()
                .replace('\n', "")
                .contains(crate::shown::is_hidden)
        );
        assert_eq!(shown.lines().count(), 2, "{shown}");
        assert!(
            shown.contains("a\\nb") && shown.contains("1\\u{1b}[2J"),
            "{shown}"
        );
    }
}
