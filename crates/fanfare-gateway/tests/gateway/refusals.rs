use std::time::{Duration, Instant};

use super::app::{LARGE, app};
use super::client::{Client, PATIENCE, frame, handshake};
use super::rig::{Options, Rig, shared};

/// Short enough to wait for.
fn hurried() -> Rig {
    Rig::with(Options {
        handshake_timeout: Duration::from_millis(300),
        ..Options::default()
    })
    .unwrap()
}

#[actix_web::test]
async fn connect_is_answered_405_and_the_connection_ends() {
    let rig = Rig::new();
    let mut client = rig
        .ask(b"CONNECT there:443 HTTP/1.1\r\nHost: there:443\r\n\r\n")
        .await;
    let response = client.response().await;
    response.expect_whole(405);
    assert_eq!(response.header("allow"), Some("GET"));
    assert_eq!(
        response.text(),
        r#"{"error":{"code":"method_not_allowed","message":"CONNECT is not served","field":null}}"#
    );
}

#[actix_web::test]
async fn a_handler_that_panics_is_answered_500_and_the_server_goes_on() {
    let rig = Rig::new();
    let (mut before, _) = rig.open("/ws/a").await;
    for _ in 0..3 {
        let response = rig.ask(&handshake("/panics")).await.response().await;
        response.expect_whole(500);
        assert!(response.text().contains("\"internal\""));
    }
    before.send(&frame(1, b"still here")).await;
    before.expect_text("still here").await;
    rig.open("/ws/a").await;
}

#[actix_web::test]
async fn a_handler_that_never_answers_is_answered_503_after_the_timeout() {
    let rig = hurried();
    let asked = Instant::now();
    let response = rig.ask(&handshake("/never")).await.response().await;
    response.expect_whole(503);
    assert_eq!(response.header("retry-after"), Some("1"));
    assert!(response.text().contains("handshake_timeout"));
    assert!(asked.elapsed() >= Duration::from_millis(300));
}

#[actix_web::test]
async fn an_error_of_the_handler_is_a_whole_response() {
    let rig = Rig::new();
    let response = rig.ask(&handshake("/no-entry")).await.response().await;
    response.expect_whole(403);
    assert_eq!(response.text(), "no entry");
}

#[actix_web::test]
async fn an_unknown_path_is_a_whole_404() {
    let rig = Rig::new();
    let response = rig.ask(&handshake("/nowhere")).await.response().await;
    response.expect_whole(404);
}

#[actix_web::test]
async fn a_page_asked_for_with_an_upgrade_comes_whole() {
    let rig = Rig::new();
    let response = rig.ask(&handshake("/page")).await.response().await;
    response.expect_whole(200);
    assert_eq!(response.text(), "an ordinary page");
    assert_eq!(response.header("x-middleware"), Some("was here"));
}

#[actix_web::test]
async fn a_streamed_refusal_comes_whole() {
    let rig = Rig::new();
    let response = rig.ask(&handshake("/streamed")).await.response().await;
    assert_eq!(response.status(), 403);
    assert!(response.text().contains("three"), "{}", response.text());
}

#[actix_web::test]
async fn a_large_refusal_reaches_a_client_that_reads_and_then_ends() {
    let rig = Rig::new();
    let response = rig.ask(&handshake("/large")).await.response().await;
    response.expect_whole(403);
    assert_eq!(response.body.len(), LARGE);
}

#[actix_web::test]
async fn a_client_that_does_not_read_its_refusal_is_given_up_after_the_timeout() {
    let rig = hurried();
    let mut client = rig.ask(&handshake("/large")).await;
    client.head().await;
    // The server has given up when what is sent to it is answered with a reset.
    let given_up = async {
        while client.try_send(b"more").await {
            tokio::task::yield_now().await;
        }
    };
    let given_up = tokio::time::timeout(PATIENCE, given_up).await;
    assert!(given_up.is_ok(), "the server still holds the connection");
}

#[actix_web::test]
async fn a_plain_http_server_is_told_to_be_the_wrong_one() {
    let shared = shared();
    let server = actix_web::HttpServer::new(move || app(shared.clone()))
        .workers(1)
        // Another test sends one to the whole process.
        .disable_signals()
        .bind("127.0.0.1:0")
        .unwrap();
    let address = server.addrs()[0];
    let server = server.run();
    let handle = server.handle();
    let run = actix_web::rt::spawn(server);
    let mut client = Client::connect(&fanfare_gateway::Bind::Tcp(address)).await;
    client.send(&handshake("/ws/a")).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert_eq!(client.bytes(11).await, b"WrongServer");
    drop(client);
    handle.stop(false).await;
    run.await.unwrap().unwrap();
}
