//! `POST /api/v1/batch`.

use anyhow::{Result, ensure};
use serde_json::{Value, json};

use crate::{error, node, node_with_users};

fn event(text: &str) -> Value {
    json!({ "type": "chat.message", "message": text })
}

#[tokio::test]
async fn a_batch_is_published_in_order_and_every_event_has_its_result() -> Result<()> {
    let node = node_with_users(&[]).await?;
    let mut socket = node.connect("/ws/chat/lobby/?user=ann").await?;
    let mut other = node.connect("/ws/chat/lobby/").await?;
    let channel = socket.channel().to_owned();
    let batch = json!({ "events": [
        { "group": "chat_lobby", "event": event("1") },
        { "group": "no\ngroup", "event": event("2") },
        { "channel": channel, "event": event("3") },
        { "user": "ann", "event": { "type": "_x" } },
        { "user": "ann", "event": event("5") },
        { "group": "chat_lobby", "channel": channel, "event": event("6") },
        { "group": "chat_lobby" },
        3,
        { "all": true, "event": event("9"), "exclude": [channel] },
        { "all": true, "event": event("10"), "exclude": ["no channel"] },
        { "all": true, "event": event("11") },
        ["chat_lobby", null, null, null, event("12"), []],
    ] });
    let answer = node.api().post("/api/v1/batch", &batch).await?;
    ensure!(answer.status == 200, "{answer:?}");
    let body = answer.json()?;
    let results = body["results"].as_array().cloned().unwrap_or_default();
    let statuses: Vec<_> = results
        .iter()
        .map(|result| result["status"].clone())
        .collect();
    let expected = json!([202, 400, 202, 400, 202, 400, 400, 400, 202, 400, 202, 400]);
    ensure!(json!(statuses) == expected, "{body}");
    for (index, code, field) in [
        (1, "invalid_group", "events.1.group"),
        (3, "invalid_event", "events.3.event.type"),
        (5, "invalid_batch", "events.5"),
        (6, "invalid_batch", "events.6"),
        (7, "invalid_batch", "events.7"),
        (9, "invalid_channel", "events.9.exclude"),
        (11, "invalid_batch", "events.11"),
    ] {
        crate::shape(&results[index], 400, (400, code))?;
        ensure!(
            results[index]["error"]["field"] == field,
            "{}",
            results[index]
        );
    }
    for text in ["1", "3", "5", "11"] {
        ensure!(socket.text().await? == text);
    }
    for text in ["1", "9", "11"] {
        ensure!(other.text().await? == text);
    }
    Ok(())
}

#[tokio::test]
async fn what_is_no_batch_is_refused_whole() -> Result<()> {
    let node = node(&[]).await?;
    let many = json!({ "events": vec![json!({ "all": true, "event": event("x") }); 1001] });
    let refused = error(
        &node.api().post("/api/v1/batch", &many).await?,
        400,
        "invalid_batch",
    )?;
    ensure!(refused["field"] == "events", "{refused}");
    for body in [
        json!([]),
        json!({}),
        json!({ "events": 3 }),
        json!({ "events": [], "x": 1 }),
    ] {
        error(
            &node.api().post("/api/v1/batch", &body).await?,
            400,
            "invalid_batch",
        )?;
    }
    let answer = node
        .api()
        .post_text("/api/v1/batch", "{\"events\":\n[,]}".to_owned())
        .await?;
    let refused = error(&answer, 400, "invalid_json")?;
    ensure!(
        refused["line"] == 2 && refused["column"].is_u64(),
        "{refused}"
    );
    let answer = node
        .api()
        .post("/api/v1/batch?exclude=a", &json!({ "events": [] }))
        .await?;
    error(&answer, 400, "bad_query")?;
    Ok(())
}
