//! Publishing and reading over `/api/v1`.

use anyhow::{Result, ensure};
use reqwest::Method;
use serde_json::{Value, json};

use crate::{error, node, node_with_users};

fn message(text: &str) -> Value {
    json!({ "type": "chat.message", "message": text })
}

#[tokio::test]
async fn an_event_reaches_a_group_a_channel_a_user_and_everyone() -> Result<()> {
    let node = node_with_users(&[]).await?;
    let mut chat = node.connect("/ws/chat/lobby/?user=ann").await?;
    let mut other = node.connect("/ws/chat/other/").await?;
    let channel = chat.channel().to_owned();
    for path in [
        "/groups/chat_lobby/events".to_owned(),
        format!("/channels/{channel}/events"),
        "/users/ann/events".to_owned(),
    ] {
        let answer = node
            .api()
            .post(&format!("/api/v1{path}"), &message(&path))
            .await?;
        ensure!(answer.status == 202, "{answer:?}");
        ensure!(answer.json()? == json!({ "published": 1 }), "{answer:?}");
        ensure!(chat.text().await? == path);
    }
    node.api().publish("/broadcast", &message("all")).await?;
    ensure!(chat.text().await? == "all");
    ensure!(
        other.text().await? == "all",
        "the first thing that the other room gets"
    );
    Ok(())
}

#[tokio::test]
async fn publishing_where_nobody_is_is_taken_too() -> Result<()> {
    let node = node(&[]).await?;
    node.api().publish_group("nobody", &message("x")).await?;
    node.api()
        .publish_channel("somewhere", &message("x"))
        .await?;
    node.api()
        .publish("/users/a%20b%2Fc/events", &message("x"))
        .await?;
    Ok(())
}

#[tokio::test]
async fn excluded_channels_are_left_out() -> Result<()> {
    let node = node(&[]).await?;
    let mut first = node.connect("/ws/chat/lobby/").await?;
    let mut second = node.connect("/ws/chat/lobby/").await?;
    let mut third = node.connect("/ws/chat/lobby/").await?;
    let escaped = first.channel().replace('!', "%21");
    let path = format!(
        "/groups/chat_lobby/events?exclude={escaped}&exclude={}",
        second.channel()
    );
    node.api().publish(&path, &message("third only")).await?;
    node.api()
        .publish_group("chat_lobby", &message("all"))
        .await?;
    ensure!(third.text().await? == "third only");
    for socket in [&mut first, &mut second, &mut third] {
        ensure!(socket.text().await? == "all");
    }
    Ok(())
}

#[tokio::test]
async fn an_event_that_breaks_a_rule_is_refused_with_its_field() -> Result<()> {
    let node = node(&[]).await?;
    for (body, field) in [
        (json!({}), json!("type")),
        (json!({ "type": 3 }), json!("type")),
        (json!({ "type": "" }), json!("type")),
        (json!({ "type": "_private" }), json!("type")),
        (json!({ "type": ".hidden" }), json!("type")),
        (json!({ "type": "websocket.send" }), json!("type")),
        (
            json!({ "type": "a", "__fanfare__": {} }),
            json!("__fanfare__"),
        ),
        (json!({ "type": "a", "__x": 1 }), json!("__x")),
        (json!([]), Value::Null),
        (json!("text"), Value::Null),
    ] {
        let answer = node.api().post("/api/v1/groups/g/events", &body).await?;
        let error = error(&answer, 400, "invalid_event")?;
        ensure!(error["field"] == field, "{body}: {error}");
    }
    Ok(())
}

#[tokio::test]
async fn broken_json_is_answered_with_its_position() -> Result<()> {
    let node = node(&[]).await?;
    let body = "{\"type\": \"a\",\n  \"message\": oops}".to_owned();
    let answer = node.api().post_text("/api/v1/broadcast", body).await?;
    let error_ = error(&answer, 400, "invalid_json")?;
    ensure!(error_["line"] == 2, "{error_}");
    ensure!(
        error_["column"].as_u64().is_some_and(|column| column >= 14),
        "{error_}"
    );
    let answer = node
        .api()
        .post_text("/api/v1/broadcast", String::new())
        .await?;
    error(&answer, 400, "invalid_json")?;
    Ok(())
}

#[tokio::test]
async fn illegal_names_are_refused_with_their_field() -> Result<()> {
    let node = node(&[]).await?;
    let (long, longer) = ("a".repeat(100), "%C3%A9".repeat(128));
    for (path, code, field) in [
        ("/groups/a%0Ab/events".to_owned(), "invalid_group", "group"),
        ("/groups/%7F/events".to_owned(), "invalid_group", "group"),
        ("/groups/%C2%85/events".to_owned(), "invalid_group", "group"),
        ("/groups/%FF/events".to_owned(), "invalid_group", "group"),
        (format!("/groups/{longer}/events"), "invalid_group", "group"),
        (
            "/channels/a!b!c/events".to_owned(),
            "invalid_channel",
            "channel",
        ),
        (
            "/channels/a:b/events".to_owned(),
            "invalid_channel",
            "channel",
        ),
        (
            "/channels/asgi__group__x/events".to_owned(),
            "invalid_channel",
            "channel",
        ),
        (
            "/channels/fanfare:x/events".to_owned(),
            "invalid_channel",
            "channel",
        ),
        (format!("/users/{long}/events"), "invalid_user", "user"),
        (
            "/broadcast?exclude=a%20b".to_owned(),
            "invalid_channel",
            "exclude",
        ),
        (
            "/broadcast?exclude".to_owned(),
            "invalid_channel",
            "exclude",
        ),
    ] {
        let answer = node
            .api()
            .post(&format!("/api/v1{path}"), &message("x"))
            .await?;
        let error = error(&answer, 400, code)?;
        ensure!(error["field"] == field, "{path}: {error}");
    }
    let answer = node.api().get("/api/v1/groups/a%0Ab").await?;
    let refused = error(&answer, 400, "invalid_group")?;
    let told = refused["message"].to_string();
    ensure!(
        told.contains("a\\\\nb") && told.contains("U+000A"),
        "{told}"
    );
    Ok(())
}

#[tokio::test]
async fn unknown_query_parameters_are_refused_by_name() -> Result<()> {
    let node = node(&[]).await?;
    let answer = node
        .api()
        .post("/api/v1/broadcast?delay=3", &message("x"))
        .await?;
    let refused = error(&answer, 400, "bad_query")?;
    ensure!(refused["field"] == "delay", "{refused}");
    let answer = node.api().get("/api/v1/groups?page=2").await?;
    error(&answer, 400, "bad_query")?;
    Ok(())
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whether_announced_or_not() -> Result<()> {
    let node = node(&["limits.body_bytes=1000"]).await?;
    let fits = json!({ "type": "a", "message": "x".repeat(900) });
    node.api().publish("/broadcast", &fits).await?;
    let large = json!({ "type": "a", "message": "x".repeat(1000) });
    let answer = node.api().post("/api/v1/broadcast", &large).await?;
    error(&answer, 413, "body_too_large")?;
    Ok(())
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_answered_408() -> Result<()> {
    let node = node(&["limits.handshake_ms=300"]).await?;
    let mut raw = fanfare_rig::RawConnection::open(node.address()).await?;
    let request = format!(
        "POST /api/v1/broadcast HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Content-Length: 100\r\n\r\n{{\"a\"",
        fanfare_rig::API_KEY
    );
    raw.write(request.as_bytes()).await?;
    let response = raw.answer().await?;
    crate::shape(
        &serde_json::from_str(&response.body)?,
        response.status,
        (408, "body_timeout"),
    )?;
    ensure!(response.header("connection") == Some("close"));
    Ok(())
}

#[tokio::test]
async fn a_chunked_body_over_the_limit_is_refused() -> Result<()> {
    let node = node(&["limits.body_bytes=1000"]).await?;
    let mut raw = fanfare_rig::RawConnection::open(node.address()).await?;
    let chunk = "x".repeat(800);
    let request = format!(
        "POST /api/v1/broadcast HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n\
         320\r\n{chunk}\r\n320\r\n{chunk}\r\n0\r\n\r\n",
        fanfare_rig::API_KEY
    );
    raw.write(request.as_bytes()).await?;
    let response = raw.response().await?;
    crate::shape(
        &serde_json::from_str(&response.body)?,
        response.status,
        (413, "body_too_large"),
    )?;
    Ok(())
}

#[tokio::test]
async fn without_a_known_key_everything_below_the_api_is_401() -> Result<()> {
    let node = node(&[]).await?;
    for path in ["/api/v1/nodes", "/api/v1/broadcast", "/api/v1/nothing"] {
        for authorization in [
            None,
            Some("Bearer wrong"),
            Some("Basic test-key-of-the-rig"),
            Some("Bearer"),
        ] {
            let mut request = node.api().anonymous(Method::GET, path);
            if let Some(value) = authorization {
                request = request.header("authorization", value);
            }
            let answer = node.api().send(request).await?;
            error(&answer, 401, "unauthorized")?;
            ensure!(
                answer.header("www-authenticate") == Some("Bearer"),
                "{answer:?}"
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn unknown_paths_are_404_and_wrong_methods_405_with_allow() -> Result<()> {
    let node = node(&[]).await?;
    for path in [
        "/nothing",
        "/api/v1/nothing",
        "/api/v1",
        "/api/v1/groups/a/b",
        "/static/x",
    ] {
        error(&node.api().get(path).await?, 404, "not_found")?;
    }
    for (method, path, allow) in [
        (Method::GET, "/api/v1/broadcast", "POST"),
        (Method::PUT, "/api/v1/groups/g/events", "POST"),
        (Method::DELETE, "/api/v1/batch", "POST"),
        (Method::POST, "/api/v1/nodes", "GET, HEAD"),
        (Method::POST, "/health/live", "GET, HEAD, OPTIONS"),
        (Method::POST, "/", "GET, HEAD"),
        (Method::POST, "/ws/echo", "GET"),
    ] {
        let answer = node.api().send(node.api().request(method, path)).await?;
        error(&answer, 405, "method_not_allowed")?;
        ensure!(answer.header("allow") == Some(allow), "{path}: {answer:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_node_tells_about_itself_and_its_groups() -> Result<()> {
    let node = node(&["node.name=ann"]).await?;
    let first = node.connect("/ws/chat/lobby/").await?;
    let _second = node.connect("/ws/chat/lobby/").await?;
    let nodes = node.api().get("/api/v1/nodes").await?.json()?;
    ensure!(nodes["scope"] == "node", "{nodes}");
    let this = &nodes["nodes"][0];
    ensure!(
        this["name"] == "ann" && this["sessions"] == 2 && this["groups"] == 1,
        "{this}"
    );
    ensure!(this["version"] == env!("CARGO_PKG_VERSION"), "{this}");
    ensure!(this["layer"]["state"] == "up", "{this}");
    let id = this["id"].as_str().unwrap_or_default();
    ensure!(
        first.channel().starts_with(&format!("specific.{id}!")),
        "{id} {}",
        first.channel()
    );

    let groups = node.api().get("/api/v1/groups").await?.json()?;
    let expected = json!([{ "group": "chat_lobby", "members": 2 }]);
    ensure!(
        groups["scope"] == "node" && groups["groups"] == expected,
        "{groups}"
    );
    let group = node.api().get("/api/v1/groups/chat_lobby").await?.json()?;
    ensure!(
        group == json!({ "scope": "node", "group": "chat_lobby", "members": 2 }),
        "{group}"
    );
    let empty = node.api().get("/api/v1/groups/nobody").await?.json()?;
    ensure!(empty["members"] == 0, "{empty}");
    Ok(())
}

#[tokio::test]
async fn a_channel_whose_workers_do_not_keep_up_answers_503() -> Result<()> {
    let node = node(&[]).await?;
    let job = json!({ "type": "thumbnail.make" });
    let item = json!({ "channel": "thumbnails", "event": job });
    let batch = json!({ "events": vec![item; 101] });
    let answer = node.api().post("/api/v1/batch", &batch).await?.json()?;
    let results = answer["results"].as_array().cloned().unwrap_or_default();
    ensure!(results[99]["status"] == 202, "{}", results[99]);
    crate::shape(&results[100], 503, (503, "channel_full"))?;
    let path = "/api/v1/channels/thumbnails/events";
    let answer = node.api().post(path, &job).await?;
    error(&answer, 503, "channel_full")?;
    ensure!(answer.header("retry-after") == Some("1"), "{answer:?}");
    let other = "/channels/others/events";
    node.api().publish(other, &job).await?;
    Ok(())
}
