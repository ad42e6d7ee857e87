use fanfare_gateway::Bind;

use super::client::{KEY, frame, handshake, handshake_with, header};
use super::rig::{Options, Rig, group};

#[actix_web::test]
async fn an_accepted_handshake_is_answered_with_exactly_this_head() {
    let rig = Rig::new();
    let mut client = rig.ask(&handshake("/ws/a")).await;
    let head = client.head().await;
    let channel = header(&head, "x-fanfare-channel").unwrap();
    let mut lines: Vec<&str> = head.split("\r\n").collect();
    // The App's own headers come behind ours, in no promised order.
    lines[4..6].sort_unstable();
    assert_eq!(
        lines,
        [
            "HTTP/1.1 101 Switching Protocols",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=",
            &format!("X-Fanfare-Channel: {channel}"),
            "X-Middleware: was here",
            "",
            "",
        ]
    );
    let located = rig.shared.node.naming().locate(channel);
    assert_eq!(located.unwrap().0, rig.shared.node.id());
    client.send(&frame(1, b"hello")).await;
    client.expect_text("hello").await;
}

#[actix_web::test]
async fn a_subprotocol_and_headers_pass_through_middleware_but_none_of_the_handshakes_own() {
    let rig = Rig::new();
    let mut client = rig.ask(&handshake("/more/a")).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    assert_eq!(header(&head, "sec-websocket-protocol"), Some("v2"));
    for line in ["\r\nSet-Cookie: a=1\r\n", "\r\nSet-Cookie: b=2\r\n"] {
        assert!(head.contains(line), "{head}");
    }
    assert_eq!(header(&head, "content-length"), None);
    assert!(!head.contains("forged"), "{head}");
    client.send(&frame(1, b"hello")).await;
    client.expect_text("hello").await;
    let foreign = handshake_with("/more/a", |line| {
        Some(if line.starts_with("Host") {
            "Host: here\r\nOrigin: http://there"
        } else {
            line
        })
    });
    let response = rig.ask(&foreign).await.response().await;
    response.expect_whole(403);
    assert!(response.text().contains("\"origin_denied\""));
}

#[actix_web::test]
async fn plain_requests_and_handshakes_know_their_node() {
    let rig = Rig::new();
    let plain = b"GET /node HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    for request in [plain.to_vec(), handshake("/node")] {
        let response = rig.ask(&request).await.response().await;
        assert_eq!(response.text(), rig.shared.node.id().to_string());
    }
}

#[actix_web::test]
async fn frames_in_the_same_packet_as_the_handshake_are_handled() {
    let rig = Rig::new();
    let mut packet = handshake("/ws/a");
    packet.extend(frame(1, b"early"));
    let cut = frame(1, b"cut in two");
    packet.extend(&cut[..7]);
    let mut client = rig.ask(&packet).await;
    client.head().await;
    client.expect_text("early").await;
    client.send(&cut[7..]).await;
    client.expect_text("cut in two").await;
}

#[actix_web::test]
async fn a_response_that_is_still_to_be_written_comes_before_the_101() {
    let rig = Rig::new();
    let mut packet = b"GET /page HTTP/1.1\r\nHost: here\r\n\r\n".to_vec();
    packet.extend(handshake("/ws/a"));
    let mut client = rig.ask(&packet).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(client.bytes(16).await, b"an ordinary page");
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

#[actix_web::test]
async fn events_published_before_the_101_follow_the_welcome_in_order() {
    let rig = Rig::new();
    let mut client = rig.ask(&handshake("/hold/a")).await;
    rig.shared.admitted.acquire().await.unwrap().forget();
    for text in ["first", "second"] {
        rig.publish("a", text).await;
    }
    rig.shared.release.add_permits(1);
    let head = client.head().await;
    let channel = header(&head, "x-fanfare-channel").unwrap();
    let welcome = format!(r#"{{"type":"welcome","channel":"{channel}"}}"#);
    client.expect_text(&welcome).await;
    client.expect_text("first").await;
    client.expect_text("second").await;
    rig.publish("a", "third").await;
    client.expect_text("third").await;
}

#[actix_web::test]
async fn a_broken_handshake_is_told_what_is_wrong_with_it() {
    let rig = Rig::new();
    let without = |name: &'static str| {
        handshake_with("/ws/a", move |line| {
            (!line.starts_with(name)).then_some(line)
        })
    };
    let instead = |name: &'static str, other: &'static str| {
        handshake_with("/ws/a", move |line| {
            Some(if line.starts_with(name) { other } else { line })
        })
    };
    let two_keys = format!("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}");
    let two_keys = handshake_with("/ws/a", |line| {
        Some(if line.starts_with("Sec-WebSocket-Version") {
            &two_keys
        } else {
            line
        })
    });
    let mut post = handshake("/ws/a");
    post.splice(..3, *b"POST");
    let mut old = handshake("/ws/a");
    let version = old.windows(8).position(|eight| eight == b"HTTP/1.1");
    old[version.unwrap() + 7] = b'0';
    for (what, request, status, body) in [
        (
            "no key",
            without("Sec-WebSocket-Key"),
            400,
            "Key header is missing",
        ),
        ("two keys", two_keys, 400, "several Sec-WebSocket-Key"),
        (
            "a key of 15 bytes",
            instead(
                "Sec-WebSocket-Key",
                "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j",
            ),
            400,
            "16 bytes in base64",
        ),
        (
            "a key that is not base64",
            instead(
                "Sec-WebSocket-Key",
                "Sec-WebSocket-Key: !!!!IHNhbXBsZSBub25jZQ==",
            ),
            400,
            "16 bytes in base64",
        ),
        (
            "version 8",
            instead("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"),
            426,
            "Version",
        ),
        (
            "no version",
            without("Sec-WebSocket-Version"),
            426,
            "Version",
        ),
        (
            "no Connection",
            without("Connection"),
            400,
            "Connection header",
        ),
        ("POST", post, 400, "must be GET"),
        ("HTTP/1.0", old, 400, "HTTP/1.1"),
        ("no Upgrade", without("Upgrade"), 426, "UpgradeRequired"),
        (
            "Upgrade with something else",
            instead("Upgrade", "Upgrade: h2c, websocket"),
            400,
            "Upgrade header",
        ),
        (
            "a body",
            instead("Host", "Host: here\r\nTransfer-Encoding: chunked"),
            400,
            "Upgrade header",
        ),
    ] {
        let mut client = rig.ask(&request).await;
        let head = client.head().await;
        let length = header(&head, "content-length").unwrap().parse().unwrap();
        let text = String::from_utf8(client.bytes(length).await).unwrap();
        assert_eq!(head[9..12], status.to_string(), "{what}: {head}{text}");
        assert!(text.contains(body), "{what}: {text}");
    }
    assert_eq!(rig.shared.node.sessions(), 0);
}

#[actix_web::test]
async fn sessions_of_both_worker_threads_are_in_one_group() {
    let rig = Rig::with(Options {
        workers: 2,
        ..Options::default()
    })
    .unwrap();
    let mut clients = Vec::new();
    let mut workers = std::collections::BTreeSet::new();
    while workers.len() < 2 || clients.len() < 6 {
        assert!(clients.len() < 90, "only workers {workers:?} have sessions");
        let (client, channel) = rig.open("/ws/a").await;
        let (_, session) = rig.shared.node.naming().locate(&channel).unwrap();
        workers.insert(session.worker);
        clients.push(client);
    }
    assert_eq!(rig.shared.node.members(&group("a")), clients.len());
    for number in 0..20 {
        rig.publish("a", &number.to_string()).await;
    }
    for client in &mut clients {
        for number in 0..20 {
            client.expect_text(&number.to_string()).await;
        }
    }
}

#[actix_web::test]
async fn a_unix_socket_serves_handshakes() {
    let folder = tempfile::tempdir().unwrap();
    let bind = Bind::Unix(folder.path().join("gateway"));
    let rig = Rig::with(Options {
        binds: vec![bind.clone()],
        ..Options::default()
    })
    .unwrap();
    assert_eq!(rig.addresses, [bind]);
    let (mut client, _) = rig.open("/ws/a").await;
    client.send(&frame(1, b"hello")).await;
    client.expect_text("hello").await;
}
