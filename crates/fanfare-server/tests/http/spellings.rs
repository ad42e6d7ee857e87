//! What the application authorises is what the session gets, however a client spells its path.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use fanfare_rig::{Node, Opcode, RawConnection, spellings};
use serde_json::json;

use crate::application::Application;
use crate::auth::with;
use crate::node_with_config;

/// What a client would like the application to read.
const FORGED: &str = "X-Fanfare-Path: /ws/chat/lobby/\r\nX-Fanfare-Route: /ws/chat/lobby/\r\n\
    X-Fanfare-Params: room=lobby\r\nX-Fanfare-Groups: chat_lobby\r\n\
    X-Original-URI: /ws/chat/lobby/\r\n";

/// What the application was told of a session, and the session.
struct Opened {
    path: String,
    params: String,
    groups: String,
    socket: RawConnection,
}

/// Opens a target; `None` if the server refuses it.
async fn open(node: &Node, application: &Application, target: &str) -> Result<Option<Opened>> {
    let before = application.asked().len();
    let mut socket = RawConnection::open(node.address()).await?;
    let request = socket.handshake(target, FORGED);
    socket.write(request.as_bytes()).await?;
    let status = socket.head().await?.status;
    let asked = application.asked();
    if status != 101 {
        ensure!([400, 404].contains(&status), "{target}: {status}");
        ensure!(asked.len() == before, "{target}: asked for nothing");
        return Ok(None);
    }
    ensure!(asked.len() == before + 1, "{target}: asked once");
    let question = asked.last().context("a question")?;
    let header = |name: &str| {
        let mut values = question.iter().filter(|(key, _)| key == name);
        let value = values.next().map(|(_, value)| value.clone());
        ensure!(values.next().is_none(), "{target}: two of {name}");
        value.with_context(|| format!("{target}: {name}"))
    };
    let path = header("x-fanfare-path")?;
    let uri = header("x-original-uri")?;
    ensure!(uri.split('?').next() == Some(&path), "{target}: {uri}");
    Ok(Some(Opened {
        path,
        params: header("x-fanfare-params")?,
        groups: header("x-fanfare-groups")?,
        socket,
    }))
}

/// Opens every spelling of a room of a route whose one group is `chat_{room}`. Gives, by the
/// canonical path, the group that each session was told to be in and is in.
async fn opened(route: &str) -> Result<BTreeMap<String, String>> {
    let config = format!(
        "[auth]\ncache_ms = 0\n[[routes]]\npath = \"{route}\"\ngroups = [\"chat_{{room}}\"]\n"
    );
    let application = Application::start(|_| with(204))?;
    let node = node_with_config(&config, &[&application.setting()]).await?;
    let targets = spellings("staff", &node.address().to_string());
    ensure!(targets.len() >= 40, "{}", targets.len());
    let mut found = BTreeMap::new();
    for target in &targets {
        let Some(mut opened) = open(&node, &application, target).await? else {
            continue;
        };
        let room = opened.params.strip_prefix("room=");
        let room = room.with_context(|| format!("{target}: {}", opened.params))?;
        ensure!(opened.groups == format!("chat_{room}"), "{target}");
        let event = json!({ "type": "note", "target": target });
        // As the header has it, percent-encoded.
        let path = format!("/groups/{}/events", opened.groups);
        node.api().publish(&path, &event).await?;
        let frame = opened
            .socket
            .frame()
            .await
            .with_context(|| target.clone())?;
        ensure!(frame.opcode == Opcode::TEXT, "{target}: {frame:?}");
        ensure!(frame.payload == event.to_string().as_bytes(), "{target}");
        let known = found.insert(opened.path, opened.groups.clone());
        ensure!(known.is_none_or(|known| known == opened.groups), "{target}");
    }
    Ok(found)
}

#[tokio::test]
async fn every_spelling_of_a_path_is_refused_or_authorised_as_what_it_opens() -> Result<()> {
    let due = ["STAFF", "lobby", "staff"];
    let due = due.map(|room| (format!("/ws/chat/{room}/"), format!("chat_{room}")));
    ensure!(opened("/ws/chat/{room}/").await? == BTreeMap::from(due));
    Ok(())
}

#[tokio::test]
async fn parameters_of_any_characters_have_one_spelling_too() -> Result<()> {
    for route in ["/ws/chat/{room:str}", "/ws/chat/{room:path}/"] {
        let found = opened(route).await?;
        let slash = if route.ends_with('/') { "/" } else { "" };
        let staff = found.get(&format!("/ws/chat/staff{slash}"));
        ensure!(
            staff.is_some_and(|group| group == "chat_staff"),
            "{found:?}"
        );
        let mut others: Vec<_> = found.values().collect();
        others.sort_unstable();
        others.dedup();
        ensure!(
            others.len() == found.len(),
            "two paths, one group: {found:?}"
        );
    }
    Ok(())
}
