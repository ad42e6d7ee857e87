//! Publishing to a group, one channel, one user, everyone; exclusion; order; the batch.

use anyhow::{Context, Result};
use fanfare_rig::{Cluster, ClusterOptions, Node, RedisServer};
use reqwest::Method;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

use crate::support::{GROUP_ROUTE, said, say};

/// Nodes of one Redis whose route is [`GROUP_ROUTE`].
async fn cluster(nodes: usize) -> Result<(RedisServer, Cluster)> {
    let redis = RedisServer::start()?;
    let options = ClusterOptions::new().nodes(nodes).redis(&redis.url());
    let cluster = options.config(GROUP_ROUTE).start().await?;
    Ok((redis, cluster))
}

#[tokio::test]
async fn the_shipped_chat_route_sends_each_message_to_everyone_in_the_room() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let mut ann = cluster[0].connect("/ws/chat/lobby/").await?;
    let mut bob = cluster[0].connect("/ws/chat/lobby/").await?;
    let mut eve = cluster[0].connect("/ws/chat/attic/").await?;
    ann.send_text("hello").await?;
    assert_eq!(ann.text().await?, "hello");
    assert_eq!(bob.text().await?, "hello");
    bob.send(Message::binary(vec![1, 2, 3])).await?;
    assert_eq!(ann.message().await?, Message::binary(vec![1, 2, 3]));
    eve.send_text("alone").await?;
    assert_eq!(
        eve.text().await?,
        "alone",
        "the other room's messages must not come before"
    );
    Ok(())
}

#[tokio::test]
async fn the_shipped_notifications_route_welcomes_with_the_channel() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let mut socket = cluster[0].connect("/ws/notifications?user=ann").await?;
    let welcome = json!({"type": "welcome", "channel": socket.channel()});
    assert_eq!(socket.json().await?, welcome);
    socket.send_text("nobody reads this").await?;
    let event = json!({"type": "alert", "level": 3, "text": "grün"});
    cluster[0]
        .api()
        .publish_group("notifications", &event)
        .await?;
    let text = r#"{"type":"alert","level":3,"text":"grün"}"#;
    assert_eq!(socket.text().await?, text);
    Ok(())
}

#[tokio::test]
async fn the_shipped_room_route_replies_ok() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let mut socket = cluster[0].connect("/room/notifications").await?;
    socket.send_text("anything").await?;
    assert_eq!(socket.text().await?, "OK");
    Ok(())
}

#[tokio::test]
async fn a_group_a_channel_a_user_and_everyone_are_reached_on_any_node() -> Result<()> {
    let (_redis, cluster) = cluster(2).await?;
    let mut here = cluster[0].connect("/g/red?user=ann").await?;
    let mut there = cluster[1].connect("/g/red?user=bob").await?;
    let mut other = cluster[1].connect("/g/blue?user=ann").await?;
    let api = cluster[0].api();
    api.publish_group("red", &say("to red")).await?;
    api.publish_channel(there.channel(), &say("to one")).await?;
    api.publish("/users/ann/events", &say("to ann")).await?;
    api.publish("/broadcast", &say("to all")).await?;
    for (socket, messages) in [
        (&mut here, vec!["to red", "to ann", "to all"]),
        (&mut there, vec!["to red", "to one", "to all"]),
        (&mut other, vec!["to ann", "to all"]),
    ] {
        let mut got = Vec::new();
        for _ in &messages {
            got.push(socket.text().await?);
        }
        let mut wanted: Vec<String> = messages.into_iter().map(said).collect();
        got.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(got, wanted);
    }
    Ok(())
}

#[tokio::test]
async fn an_excluded_channel_gets_nothing_on_any_node() -> Result<()> {
    let (_redis, cluster) = cluster(2).await?;
    let mut here = cluster[0].connect("/g/red").await?;
    let mut there = cluster[1].connect("/g/red").await?;
    let mut witness = cluster[1].connect("/g/red").await?;
    let path = format!(
        "/groups/red/events?exclude={}&exclude={}",
        here.channel(),
        there.channel()
    );
    cluster[0]
        .api()
        .publish(&path, &say("without you two"))
        .await?;
    cluster[0]
        .api()
        .publish_group("red", &say("with all"))
        .await?;
    assert_eq!(witness.text().await?, said("without you two"));
    assert_eq!(witness.text().await?, said("with all"));
    assert_eq!(here.text().await?, said("with all"));
    assert_eq!(there.text().await?, said("with all"));
    Ok(())
}

#[tokio::test]
async fn a_route_can_leave_the_sender_out() -> Result<()> {
    let route = format!("{GROUP_ROUTE}exclude_sender = true\n");
    let cluster = ClusterOptions::new().config(&route).start().await?;
    let mut sender = cluster[0].connect("/g/red").await?;
    let mut other = cluster[0].connect("/g/red").await?;
    sender.send_text("from the sender").await?;
    assert_eq!(other.text().await?, said("from the sender"));
    other.send_text("from the other").await?;
    assert_eq!(sender.text().await?, said("from the other"));
    Ok(())
}

#[tokio::test]
async fn an_event_to_one_follows_the_group_events_published_before_it() -> Result<()> {
    let (_redis, cluster) = cluster(2).await?;
    const PAIRS: usize = 300;
    let mut far = cluster[1].connect("/g/red").await?;
    let mut near = cluster[0].connect("/g/red").await?;
    let mut events = Vec::new();
    for n in 0..PAIRS {
        events.push(json!({"group": "red", "event": say(&format!("group {n}"))}));
        for channel in [far.channel(), near.channel()] {
            events.push(json!({"channel": channel, "event": say(&format!("one {n}"))}));
        }
    }
    let answer = cluster[0]
        .api()
        .post("/api/v1/batch", &json!({ "events": events }))
        .await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    for socket in [&mut far, &mut near] {
        let mut got = Vec::new();
        while got.len() < 2 * PAIRS {
            got.push(socket.text().await?);
        }
        let position = |wanted: String| got.iter().position(|text| *text == said(&wanted));
        for n in 0..PAIRS {
            let group = position(format!("group {n}")).context("a group event is missing")?;
            let one = position(format!("one {n}")).context("a point-to-point event is missing")?;
            assert!(
                group < one,
                "pair {n}: the group's came at {group}, the one at {one}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_batch_is_published_in_order_and_answers_for_each_event() -> Result<()> {
    let cluster = ClusterOptions::new().config(GROUP_ROUTE).start().await?;
    let mut socket = cluster[0].connect("/g/red?user=ann").await?;
    let events = json!({"events": [
        {"group": "red", "event": say("1")},
        {"group": "no such\nthing", "event": say("never")},
        {"channel": socket.channel(), "event": say("2")},
        {"user": "ann", "event": {"message": "no type"}},
        {"user": "ann", "event": say("3")},
        {"all": true, "event": say("4")},
        {"group": "red", "event": say("never"), "exclude": [socket.channel()]},
        {"group": "red", "event": say("5")},
    ]});
    let answer = cluster[0].api().post("/api/v1/batch", &events).await?;
    assert_eq!(answer.status, 200, "{answer:?}");
    let results = answer.json()?;
    let statuses: Vec<u64> = results["results"]
        .as_array()
        .context("results")?
        .iter()
        .filter_map(|result| result["status"].as_u64())
        .collect();
    assert_eq!(statuses, [202, 400, 202, 400, 202, 202, 202, 202]);
    assert!(
        results["results"][1]["error"]["code"].is_string(),
        "{results}"
    );
    for n in 1..=5 {
        assert_eq!(socket.text().await?, said(&n.to_string()));
    }
    let many: Vec<Value> = (0..1001)
        .map(|_| json!({"group": "red", "event": say("x")}))
        .collect();
    let answer = cluster[0]
        .api()
        .post("/api/v1/batch", &json!({ "events": many }))
        .await?;
    assert_eq!(answer.status, 400, "{answer:?}");
    Ok(())
}

#[tokio::test]
async fn what_cannot_be_published_is_refused_with_its_reason() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let api = cluster[0].api();
    let path = "/api/v1/groups/red/events";
    for body in [
        r#"{"message":"no type"}"#,
        r#"{"type":""}"#,
        r#"{"type":7}"#,
        r#"{"type":"_private"}"#,
        r#"{"type":".private"}"#,
        r#"{"type":"websocket.receive"}"#,
        r#"{"type":"say","__fanfare__":{}}"#,
        r#"["no object"]"#,
    ] {
        let answer = api.post_text(path, body.to_owned()).await?;
        assert_eq!(answer.status, 400, "{body}: {answer:?}");
        assert!(!answer.error_code().is_empty(), "{answer:?}");
    }
    let answer = api
        .post_text(path, "{\"type\":\"say\",\n  \"x\": oops}".to_owned())
        .await?;
    assert_eq!(answer.status, 400);
    let error = answer.json()?;
    assert_eq!(error["error"]["line"], 2, "{error}");
    assert!(error["error"]["column"].is_u64(), "{error}");

    for path in [
        "/api/v1/groups/not%0Alegal/events",
        "/api/v1/channels/asgi__group__red/events",
        "/api/v1/channels/fanfare:asgi:node:1/events",
    ] {
        assert_eq!(api.post(path, &say("x")).await?.status, 400, "{path}");
    }
    let body = say(&"x".repeat(3_000_000)).to_string();
    assert_eq!(api.post_text(path, body).await?.status, 413);
    Ok(())
}

#[tokio::test]
async fn the_api_wants_its_key() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let api = cluster[0].api();
    let path = "/api/v1/broadcast";
    let body = say("x").to_string();
    let anonymous = api
        .send(api.anonymous(Method::POST, path).body(body.clone()))
        .await?;
    assert_eq!(anonymous.status, 401);
    assert_eq!(
        anonymous
            .header("www-authenticate")
            .map(|v| v.starts_with("Bearer")),
        Some(true)
    );
    let wrong = api
        .anonymous(Method::POST, path)
        .bearer_auth("test-kez")
        .body(body);
    assert_eq!(api.send(wrong).await?.status, 401);
    assert_eq!(api.post(path, &say("x")).await?.status, 202);
    let got = api.get(path).await?;
    assert_eq!(
        (got.status, got.error_code().is_empty()),
        (405, false),
        "{got:?}"
    );
    assert_eq!(api.get("/api/v1/nowhere").await?.status, 404);
    Ok(())
}

#[tokio::test]
async fn the_api_lists_this_node_and_its_groups() -> Result<()> {
    let cluster = ClusterOptions::new().config(GROUP_ROUTE).start().await?;
    let node: &Node = &cluster[0];
    let _red = node.connect("/g/red").await?;
    let _too = node.connect("/g/red").await?;
    let _blue = node.connect("/g/blue").await?;
    let groups = node.api().get("/api/v1/groups").await?;
    assert_eq!(groups.status, 200, "{groups:?}");
    assert!(
        groups.body.contains("\"red\"") && groups.body.contains("\"blue\""),
        "{groups:?}"
    );
    assert_eq!(groups.json()?["scope"], "node");
    let red = node.api().get("/api/v1/groups/red").await?;
    assert_eq!(red.status, 200, "{red:?}");
    assert!(red.body.contains('2'), "{red:?}");
    let nodes = node.api().get("/api/v1/nodes").await?;
    assert!(
        nodes.status == 200 && nodes.body.contains("node-0"),
        "{nodes:?}"
    );
    Ok(())
}
