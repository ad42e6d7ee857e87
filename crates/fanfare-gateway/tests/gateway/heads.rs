//! Heads that are too long: refused before the App sees them.

use super::client::{Client, handshake};
use super::rig::Rig;

const LINE: usize = 8 * 1024;
const HEAD: usize = 32 * 1024;

/// The target of a request line of so many bytes.
fn target(line: usize) -> String {
    format!("/page?{}", "a".repeat(line - "GET /page? HTTP/1.1".len()))
}

fn plain(target: &str, headers: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: here\r\n{headers}\r\n").into_bytes()
}

/// Headers of so many bytes.
fn headers(bytes: usize) -> String {
    const EACH: usize = 1000;
    let value = "b".repeat(EACH - "X-Much: \r\n".len());
    format!("X-Much: {value}\r\n").repeat(bytes / EACH)
}

/// The App's middleware marks each of its answers.
fn expect_refused_before_the_app(response: &super::client::Response, status: u16, code: &str) {
    response.expect_whole(status);
    assert!(response.text().contains(code), "{}", response.text());
    assert_eq!(response.header("x-middleware"), None, "{}", response.head);
    assert_eq!(response.header("cache-control"), Some("no-store"));
}

#[actix_web::test]
async fn a_line_may_have_its_limit_and_no_byte_more() {
    let rig = Rig::new();
    for request in [plain, |target: &str, _: &str| handshake(target)] {
        let fits = request(&target(LINE), "");
        let head = rig.ask(&fits).await.head().await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        assert!(head.contains("x-middleware"), "{head}");
        // The longest are beyond what actix-http itself takes.
        for line in [LINE + 1, 60_000, 100_000, 200_000, 2_000_000] {
            let response = rig.ask(&request(&target(line), "")).await.response().await;
            expect_refused_before_the_app(&response, 414, "\"uri_too_long\"");
        }
    }
}

#[actix_web::test]
async fn a_head_over_its_limit_is_answered_431() {
    let rig = Rig::new();
    let response = rig.ask(&plain("/", &headers(HEAD - 1000))).await;
    assert!({ response }.head().await.starts_with("HTTP/1.1 404 "));
    for bytes in [HEAD + 1000, 100_000, 2_000_000] {
        let request = plain("/", &headers(bytes));
        let response = rig.ask(&request).await.response().await;
        expect_refused_before_the_app(&response, 431, "\"head_too_large\"");
        let mut request = handshake("/ws/a");
        request.truncate(request.len() - 2);
        request.extend(headers(bytes).bytes().chain(*b"\r\n"));
        let response = rig.ask(&request).await.response().await;
        expect_refused_before_the_app(&response, 431, "\"head_too_large\"");
    }
    rig.until_empty().await;
}

#[actix_web::test]
async fn a_head_is_refused_when_its_limit_has_arrived_and_not_when_it_ends() {
    let rig = Rig::new();
    let mut client = rig.ask(b"GET /").await;
    client.send(&vec![b'a'; LINE + 100]).await;
    let response = client.response().await;
    expect_refused_before_the_app(&response, 414, "\"uri_too_long\"");
}

/// The head of the answer, and its body where the length is told.
async fn answer(client: &mut Client) -> String {
    let head = client.head().await;
    let length = super::client::header(&head, "content-length").unwrap();
    client.bytes(length.parse().unwrap()).await;
    head
}

#[actix_web::test]
async fn later_requests_of_a_connection_have_the_same_limits() {
    let rig = Rig::new();
    let long_line = plain(&target(60_000), "");
    let long_head = plain("/", &headers(HEAD + 1000));
    for (request, status, code) in [
        (long_line, 414, "\"uri_too_long\""),
        (handshake(&target(LINE + 1)), 414, "\"uri_too_long\""),
        (long_head, 431, "\"head_too_large\""),
    ] {
        let mut client = rig.ask(&plain("/page", "")).await;
        assert!(answer(&mut client).await.starts_with("HTTP/1.1 200 "));
        client.send(&request).await;
        let response = client.response().await;
        expect_refused_before_the_app(&response, status, code);
    }
}
