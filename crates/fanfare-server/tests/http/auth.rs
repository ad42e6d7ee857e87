//! Handshakes that an application decides about.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::{StatusCode, header};
use anyhow::{Context as _, Result, ensure};
use fanfare_rig::{Node, Socket, SocketOptions, within};
use serde_json::{Value, json};

use crate::application::Application;
use crate::handshake::{expect, refused};
use crate::{node, node_with_config};

const LIMIT: Duration = Duration::from_secs(10);

/// Connects with a cookie.
pub(crate) async fn connect(node: &Node, path: &str, cookie: &str) -> Result<Socket> {
    let headers = vec![("Cookie".to_owned(), cookie.to_owned())];
    let options = SocketOptions {
        headers,
        ..SocketOptions::default()
    };
    Socket::connect(node.address(), path, &options).await
}

fn allows(answer: &Value) -> HttpResponse {
    HttpResponse::Ok().json(answer)
}

pub(crate) fn with(status: u16) -> HttpResponse {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
    HttpResponse::build(status).finish()
}

pub(crate) async fn asked(node: &Node, outcome: &str) -> Result<f64> {
    node.metric("fanfare_auth_requests_total", &[("outcome", outcome)])
        .await
}

/// Publishes something to everyone and insists that nothing else comes first.
async fn nothing_else(node: &Node, socket: &mut Socket) -> Result<()> {
    let event = json!({ "type": "end" });
    node.api().publish("/broadcast", &event).await?;
    let text = socket.text().await?;
    ensure!(text == r#"{"type":"end"}"#, "{text} came in between");
    Ok(())
}

#[tokio::test]
async fn the_application_gets_the_cookies_and_the_path() -> Result<()> {
    let application = Application::start(|_| with(204))?;
    let node = node(&[&application.setting()]).await?;
    let headers = [
        ("Cookie", "sessionid=s; csrftoken=c"),
        ("Authorization", "Bearer t"),
        ("Origin", &format!("http://{}", node.address())),
        ("User-Agent", "browser"),
        ("Accept-Language", "ca"),
        ("X-Original-URI", "/forged"),
        ("X-Fanfare-Path", "/forged"),
        ("X-Fanfare-Groups", "forged"),
        ("X-Forwarded-For", "10.0.0.1"),
    ];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options = SocketOptions {
        headers: headers.to_vec(),
        ..SocketOptions::default()
    };
    let path = "/ws/chat/lobby/?a=b&c=%20";
    Socket::connect(node.address(), path, &options).await?;
    let asked = application.asked();
    ensure!(asked.len() == 1, "{asked:?}");
    let own_address = node.address().to_string();
    for (name, value) in [
        (":method", "GET"),
        (":path", "/auth/?from=fanfare"),
        ("accept", "application/json"),
        ("accept-language", "ca"),
        ("authorization", "Bearer t"),
        ("cookie", "sessionid=s; csrftoken=c"),
        ("user-agent", "browser"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-host", &own_address),
        ("x-forwarded-proto", "http"),
        ("x-original-method", "GET"),
        ("x-original-uri", path),
        ("x-fanfare-path", "/ws/chat/lobby/"),
        ("x-fanfare-route", "/ws/chat/{room}/"),
        ("x-fanfare-params", "room=lobby"),
        ("x-fanfare-groups", "chat_lobby"),
    ] {
        let got: Vec<_> = asked[0].iter().filter(|(key, _)| key == name).collect();
        ensure!(
            matches!(&got[..], [(_, only)] if only == value),
            "{name}: {got:?}"
        );
    }
    let host = asked[0].iter().find(|(key, _)| key == "host");
    let host = host.map(|(_, host)| format!("http://{host}/"));
    ensure!(application.setting().contains(&host.unwrap_or_default()));
    Ok(())
}

#[tokio::test]
async fn a_session_is_in_the_groups_that_the_application_names_and_its_users() -> Result<()> {
    let application = Application::start(|_| {
        allows(&json!({ "user": 42, "groups": ["staff", "chat_lobby", "staff"] }))
    })?;
    let node = node(&[&application.setting()]).await?;
    let mut socket = node.connect("/ws/chat/lobby/?user=eve").await?;
    let note = |text: &str| json!({ "type": "note", "n": text });
    for (path, text) in [
        ("/groups/staff/events", "staff"),
        ("/groups/chat_lobby/events", "lobby"),
        ("/users/42/events", "user"),
    ] {
        node.api().publish(path, &note(text)).await?;
        ensure!(socket.json().await? == note(text), "{path}");
    }
    // What the query says counts no more.
    node.api()
        .publish("/users/eve/events", &note("eve"))
        .await?;
    nothing_else(&node, &mut socket).await?;
    ensure!(asked(&node, "accepted").await? == 1.0);
    Ok(())
}

#[tokio::test]
async fn what_a_client_sends_goes_to_the_groups_of_the_route_alone() -> Result<()> {
    let application =
        Application::start(|_| allows(&json!({ "user": "ann", "groups": ["staff", "more"] })))?;
    let node = node(&[&application.setting()]).await?;
    let mut sender = node.connect("/ws/chat/one/").await?;
    let mut other = node.connect("/ws/chat/two/").await?;
    sender.send_text("hello").await?;
    ensure!(sender.text().await? == "hello", "once, by its room");
    nothing_else(&node, &mut other).await?;
    ensure!(sender.text().await? == r#"{"type":"end"}"#);
    Ok(())
}

#[tokio::test]
async fn an_answer_without_a_body_lets_a_client_in_that_is_nobody() -> Result<()> {
    for status in [204, 200] {
        let application = Application::start(move |_| with(status))?;
        let node = node(&[&application.setting()]).await?;
        let mut socket = node.connect("/ws/chat/lobby/?user=eve").await?;
        let event = json!({ "type": "note" });
        node.api().publish("/users/eve/events", &event).await?;
        let event = json!({ "type": "chat.message", "message": "all" });
        node.api().publish_group("chat_lobby", &event).await?;
        ensure!(socket.text().await? == "all", "{status}");
    }
    Ok(())
}

#[tokio::test]
async fn what_the_application_refuses_is_refused() -> Result<()> {
    let application = Application::start(|request| {
        let status = request.headers().get("x-original-uri");
        let status = status.and_then(|uri| uri.to_str().ok()?.rsplit('/').next()?.parse().ok());
        let mut response = with(status.unwrap_or(500));
        let target = header::HeaderValue::from_static("/accounts/login/?next=s3cret");
        response.headers_mut().insert(header::LOCATION, target);
        response
    })?;
    let node = node(&[&application.setting()]).await?;
    let response = refused(&node, "/room/401", "").await?;
    expect(&response, 401, "authentication_required")?;
    for status in [403, 302, 303, 307] {
        let response = refused(&node, &format!("/room/{status}"), "").await?;
        expect(&response, 403, "access_denied")?;
    }
    let log = node.logged("/accounts/login/").await?;
    ensure!(!log.contains("s3cret"), "{log}");
    ensure!(asked(&node, "refused").await? == 5.0);
    ensure!(node.metric("fanfare_sessions_opened_total", &[]).await? == 0.0);
    let asked = application.asked();
    ensure!(asked.len() == 5, "no redirect is followed: {asked:?}");
    let log = node.logged("WebSocket DISCONNECT /room/401").await?;
    let place = |word: &str| log.find(&format!("WebSocket {word} /room/401 ["));
    let places = [place("HANDSHAKING"), place("REJECT"), place("DISCONNECT")];
    ensure!(places.is_sorted() && places[0].is_some(), "{log}");
    Ok(())
}

#[tokio::test]
async fn answers_that_say_nothing_let_nobody_in() -> Result<()> {
    let large = format!("{{\"user\": 1, \"x\": \"{}\"}}", "x".repeat(64 * 1024));
    let bodies = [
        "<html>".to_owned(),
        "[]".to_owned(),
        r#"{"id": 1}"#.to_owned(),
        r#"{"user": true}"#.to_owned(),
        r#"{"user": 1, "groups": ["a\u0000b"]}"#.to_owned(),
        r#"{"user": 1, "groups": ["fanfare.all"]}"#.to_owned(),
        large,
    ];
    let statuses = [301, 400, 404, 500, 502];
    let count = bodies.len() + statuses.len();
    let application = Application::start(move |request| {
        let uri = request.headers().get("x-original-uri");
        let number = uri.and_then(|uri| uri.to_str().ok()?.rsplit('/').next()?.parse().ok());
        let number: usize = number.unwrap_or_default();
        match bodies.get(number) {
            Some(body) => HttpResponse::Ok().body(body.clone()),
            None => with(statuses[number - bodies.len()]),
        }
    })?;
    let node = node(&[&application.setting()]).await?;
    for number in 0..count {
        let response = refused(&node, &format!("/room/{number}"), "").await?;
        expect(&response, 503, "auth_unavailable").with_context(|| format!("{number}"))?;
        ensure!(response.header("retry-after") == Some("1"), "{response:?}");
    }
    ensure!(asked(&node, "bad_answer").await? == count as f64);
    let last = format!("WebSocket DISCONNECT /room/{}", count - 1);
    let log = node.logged(&last).await?;
    let lines = log
        .lines()
        .filter(|line| line.contains("auth.url gave no answer"));
    let lines: Vec<_> = lines.collect();
    ensure!(lines.len() == 1 && lines[0].contains("ERROR"), "{lines:?}");
    ensure!(lines[0].contains("expected value"), "{lines:?}");
    Ok(())
}

#[tokio::test]
async fn an_application_that_is_down_lets_nobody_in() -> Result<()> {
    // Nothing listens on port 1.
    let node = node(&["auth.url=http://127.0.0.1:1/auth/"]).await?;
    let response = refused(&node, "/ws/echo", "").await?;
    expect(&response, 503, "auth_unavailable")?;
    ensure!(response.header("retry-after").is_some(), "{response:?}");
    ensure!(asked(&node, "unreachable").await? == 1.0);
    node.logged("Connection refused").await?;
    Ok(())
}

#[tokio::test]
async fn an_application_that_hangs_up_is_asked_once_more_and_again_for_the_next_client()
-> Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    let connections = listener.try_clone()?;
    let hangs_up = tokio::task::spawn_blocking(move || {
        let mut accepted = (0..2).map(|_| connections.accept().map(drop));
        accepted.try_for_each(|accepted| accepted)
    });
    let node = node(&[&format!("auth.url=http://{address}/auth/")]).await?;
    let response = refused(&node, "/ws/echo", "").await?;
    expect(&response, 503, "auth_unavailable")?;
    within(LIMIT, "two connections", hangs_up).await???;
    ensure!(asked(&node, "unreachable").await? == 1.0);
    let _application = Application::on(listener, |_| with(204), 1)?;
    node.connect("/ws/echo").await?;
    Ok(())
}

#[tokio::test]
async fn a_public_route_asks_nobody() -> Result<()> {
    let config = r#"
        development = true

        [[routes]]
        path = "/public"
        auth = false
        user = { query = "user" }

        [[routes]]
        path = "/private"
    "#;
    let application = Application::start(|_| with(403))?;
    let node = node_with_config(config, &[&application.setting()]).await?;
    let mut socket = node.connect("/public?user=ann").await?;
    let event = json!({ "type": "note" });
    node.api().publish("/users/ann/events", &event).await?;
    ensure!(socket.json().await? == event);
    ensure!(application.asked().is_empty());
    expect(&refused(&node, "/private", "").await?, 403, "access_denied")?;
    Ok(())
}

#[tokio::test]
async fn who_cannot_come_in_anyway_is_not_asked_about() -> Result<()> {
    let application = Application::start(|_| allows(&json!({ "user": 1, "groups": ["a", "b"] })))?;
    let sets = ["limits.sessions=1", "limits.groups_per_session=3"];
    let node = node(&[sets[0], sets[1], &application.setting()]).await?;
    // Two groups, its user's and the route's are one too many.
    let response = refused(&node, "/room/x", "").await?;
    expect(&response, 400, "too_many_groups")?;
    let open = node.connect("/ws/echo").await?;
    ensure!(application.asked().len() == 2);
    let response = refused(&node, "/ws/echo", "Cookie: id=2\r\n").await?;
    expect(&response, 503, "node_full")?;
    let evil = "Origin: http://evil.example\r\n";
    expect(
        &refused(&node, "/ws/echo", evil).await?,
        403,
        "origin_denied",
    )?;
    ensure!(application.asked().len() == 2);
    open.close(1000).await?;
    let labels = [("cause", "node_full")];
    ensure!(
        node.metric("fanfare_sessions_refused_total", &labels)
            .await?
            == 1.0
    );
    Ok(())
}
