//! What the documentation lists is what the binary has, neither more nor less.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result};
use fanfare_rig::{ClusterOptions, RedisServer, project_root};
use tokio::process::Command;
use toml::{Table, Value};

use crate::cli::{cluster_command, fanfare};

/// The first cells of the tables in `docs/{name}` under headings that `wanted` accepts, without
/// their backticks.
fn listed(name: &str, wanted: impl Fn(&str) -> bool) -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(project_root().join("docs").join(name))
        .with_context(|| name.to_owned())?;
    let mut heading = "";
    let mut cells = BTreeSet::new();
    for line in text.lines() {
        if line.starts_with('#') {
            heading = line.trim_start_matches('#').trim();
        }
        let first = line
            .strip_prefix("| ")
            .and_then(|row| row.split(" |").next());
        let Some(cell) = first.filter(|_| wanted(heading)) else {
            continue;
        };
        cells.insert(cell.trim_matches('`').to_owned());
    }
    for title in ["key", "name", "status"] {
        cells.remove(title);
    }
    Ok(cells)
}

#[tokio::test]
async fn every_configuration_key_is_documented_and_every_documented_one_exists() -> Result<()> {
    let documented = listed("CONFIGURATION.md", |heading| heading.starts_with("Keys"))?;
    let output = fanfare(&["check", "--print"]).output().await?;
    let printed: Table = toml::from_str(&String::from_utf8(output.stdout)?)?;
    let mut existing = BTreeSet::new();
    keys("", &Value::Table(printed), &mut existing);
    // Of every route, whatever the event type is called.
    let existing: BTreeSet<String> = existing
        .iter()
        .map(|key| key.replace("deliver.chat.message", "deliver.*"))
        .collect();
    // No rule of groups is shipped, and no route whose users the clients name.
    let documented = documented
        .into_iter()
        .filter(|key| !key.starts_with("groups.") && key != "routes.user.query")
        .collect();
    assert_eq!(existing, documented);
    Ok(())
}

fn keys(path: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Table(table) => {
            for (key, value) in table {
                let key = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                keys(&key, value, into);
            }
        }
        Value::Array(items) if items.iter().any(Value::is_table) => {
            items.iter().for_each(|item| keys(path, item, into));
        }
        _ => {
            into.insert(path.to_owned());
        }
    }
}

#[tokio::test]
async fn every_metric_is_documented_and_every_documented_one_exists() -> Result<()> {
    let documented = listed("METRICS.md", |heading| {
        // The latter are those of programs that use the library.
        !["Worth an alert", "Consumers and workers"].contains(&heading)
    })?;
    let redis = RedisServer::start()?;
    let cluster = ClusterOptions::new().redis(&redis.url()).start().await?;
    let existing = cluster[0].metrics().await?.names();
    assert_eq!(existing, documented);
    Ok(())
}

#[tokio::test]
async fn every_exit_status_is_documented_and_every_documented_one_occurs() -> Result<()> {
    let documented = listed("CLI.md", |heading| heading == "Exit status")?;
    let help = String::from_utf8(fanfare(&["--help"]).output().await?.stdout)?;
    let (_, table) = help
        .split_once("Exit status:")
        .context("a table in --help")?;
    let shown: BTreeSet<String> = table
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    assert_eq!(shown, documented);

    let cluster = ClusterOptions::new().start().await?;
    let url = cluster[0].url();
    let commands: [(i32, Command); 8] = [
        (0, fanfare(&["check"])),
        (0, fanfare(&["health", "--url", &url])),
        (1, fanfare(&["health", "--url", "http://127.0.0.1:1"])),
        (64, fanfare(&["no-such-command"])),
        (64, cluster_command(&url, &["--all", "no JSON"])),
        (69, fanfare(&["tail", "--group", "red"])),
        (
            69,
            cluster_command("http://127.0.0.1:1", &["--all", "{\"type\":\"say\"}"]),
        ),
        (78, fanfare(&["check", "--set", "http.bnid=x"])),
    ];
    let mut occurred = BTreeSet::new();
    for (due, mut command) in commands {
        let output = command.output().await?;
        let status = output.status.code().context("a status")?;
        assert_eq!(
            status,
            due,
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        occurred.insert(status.to_string());
    }
    assert_eq!(occurred, documented);
    Ok(())
}
