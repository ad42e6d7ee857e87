use actix_web::http::{StatusCode, header};
use actix_web::test::TestRequest;
use fanfare_consumer::middleware::{OriginRule, Origins};
use fanfare_rig::Logs;

use super::{answer, error, websocket};

/// Pattern, origin, allowed: every row of the Channels model's table, and `host:port`, which
/// never matches there and means what it says here.
const TABLE: &[(&str, Option<&str>, bool)] = &[
    ("a.com", Some("http://a.com"), true),
    ("a.com", Some("https://a.com:8443"), true),
    ("a.com", Some("http://sub.a.com"), false),
    ("a.com", Some("http://a.com."), false),
    (".a.com", Some("http://a.com"), true),
    (".a.com", Some("http://x.y.a.com"), true),
    (".a.com", Some("http://ba.com"), false),
    ("*.a.com", Some("http://b.a.com"), false),
    ("http://*.a.com", Some("http://b.a.com"), false),
    ("http://a.com", Some("http://a.com:80"), true),
    ("http://a.com:80", Some("http://a.com"), true),
    ("http://a.com", Some("https://a.com"), false),
    ("http://a.com", Some("http://a.com:8080"), false),
    ("http://.a.com", Some("http://x.y.a.com"), true),
    ("ws://a.com", Some("http://a.com"), false),
    ("a.com", Some("http://a.com:99999"), true),
    ("http://a.com", Some("http://a.com:99999"), false),
    ("http://a.com", Some("http://a.com:x"), false),
    ("a.com:8080", Some("http://a.com:8080"), true),
    ("a.com:8080", Some("https://a.com:8080"), true),
    ("a.com:8080", Some("http://a.com"), false),
    ("a.com:8080", Some("http://a.com:8081"), false),
    ("a.com:443", Some("https://a.com"), true),
    ("localhost:8080", Some("http://localhost:8080"), true),
    ("[::1]:8080", Some("http://[::1]:8080"), true),
    ("[::1]:8080", Some("http://[::1]:80"), false),
    ("A.com", Some("http://a.com"), true),
    ("HTTP://A.com", Some("http://a.com"), true),
    ("a.com", Some("http://A.COM"), true),
    ("a.com", Some(""), false),
    ("a.com", Some("null"), false),
    ("null", Some("null"), false),
    ("a.com", Some("file://"), false),
    ("file://", Some("file://"), false),
    ("a.com", Some("a.com"), false),
    ("a.com", Some("a.com:80"), false),
    ("*", Some("http://anything"), true),
    ("*", Some("file://"), true),
    ("*", Some(""), true),
    ("*", None, true),
    ("a.com", None, false),
    ("[::1]", Some("http://[::1]:8000"), true),
    ("127.0.0.1", Some("http://127.0.0.1:8000"), true),
    ("https://a.com", Some("https://a.com:443"), true),
    ("ftp://a.com", Some("ftp://a.com"), true),
    (
        "chrome-extension://abc",
        Some("chrome-extension://abc"),
        true,
    ),
    ("a.com", Some("http://user:pass@a.com/path?query"), true),
    ("a.com", Some("http://a.com@evil.com"), false),
    ("", Some("http://a.com"), false),
];

#[test]
fn the_patterns_allow_exactly_what_their_table_says() {
    for &(pattern, origin, allowed) in TABLE {
        let rule = OriginRule::patterns([pattern]);
        assert_eq!(
            rule.allows(origin, Some("a.com")),
            allowed,
            "{pattern:?} {origin:?}"
        );
    }
}

#[test]
fn one_of_several_patterns_is_enough_and_none_allows_nothing() {
    let rule = OriginRule::patterns(["b.com", "a.com"]);
    assert!(rule.allows(Some("http://a.com"), None));
    let nothing = OriginRule::patterns::<&str>([]);
    assert!(!nothing.allows(Some("http://a.com"), Some("a.com")));
    assert!(!nothing.allows(None, Some("a.com")));
}

#[test]
fn by_default_an_origin_is_absent_or_has_the_hosts_name_and_port() {
    let rule = OriginRule::same_host();
    for (origin, host, allowed) in [
        (None, Some("a.com"), true),
        (Some("http://a.com"), Some("a.com"), true),
        (Some("http://A.com"), Some("a.COM"), true),
        (Some("http://a.com"), Some("a.com:80"), true),
        (Some("http://a.com:80"), Some("a.com"), true),
        (Some("https://a.com"), Some("a.com"), true),
        (Some("https://a.com"), Some("a.com:443"), true),
        (Some("http://a.com:8000"), Some("a.com:8000"), true),
        (Some("http://[::1]:8000"), Some("[::1]:8000"), true),
        (Some("http://a.com:8001"), Some("a.com:8000"), false),
        (Some("https://a.com"), Some("a.com:80"), false),
        (Some("http://b.com"), Some("a.com"), false),
        (Some("http://sub.a.com"), Some("a.com"), false),
        (Some("http://a.com:x"), Some("a.com:x"), false),
        (Some("null"), Some("null"), false),
        (Some("file://"), Some(""), false),
        (Some(""), None, false),
        (Some("http://a.com"), None, false),
    ] {
        assert_eq!(rule.allows(origin, host), allowed, "{origin:?} {host:?}");
    }
}

#[actix_web::test]
async fn the_middleware_judges_handshakes_by_that_table() {
    for &(pattern, origin, allowed) in TABLE {
        let mut request = websocket().insert_header((header::HOST, "a.com"));
        if let Some(origin) = origin {
            request = request.insert_header((header::ORIGIN, origin));
        }
        let (status, body) = answer(Origins::allow([pattern]), request).await;
        if allowed {
            assert_eq!(status, StatusCode::OK, "{pattern:?} {origin:?}");
        } else {
            assert_eq!(status, StatusCode::FORBIDDEN, "{pattern:?} {origin:?}");
            let message = format!("the origin {:?} is not allowed", origin.unwrap_or("none"));
            assert_eq!(body, error("origin_denied", &message));
        }
    }
}

#[actix_web::test]
async fn of_several_origins_none_counts_and_one_need_not_be_ascii() {
    for (origins, status) in [
        (&[&b"http://a.com"[..]][..], StatusCode::OK),
        (&[b"http://a.com\xff"], StatusCode::FORBIDDEN),
        (&[b"http://a.com", b"http://a.com"], StatusCode::FORBIDDEN),
        (&[b"http://b.com", b"http://a.com"], StatusCode::FORBIDDEN),
    ] {
        let mut request = websocket();
        for origin in origins {
            let origin = header::HeaderValue::from_bytes(origin).unwrap();
            request = request.append_header((header::ORIGIN, origin));
        }
        assert_eq!(answer(Origins::allow(["a.com"]), request).await.0, status);
    }
}

#[actix_web::test]
async fn plain_requests_pass_unless_they_are_to_be_judged_too() {
    let foreign = || TestRequest::post().insert_header((header::ORIGIN, "http://b.com"));
    let silent = TestRequest::get;
    let strict = || Origins::allow(["a.com"]).also_http();
    assert_eq!(answer(Origins::same_host(), foreign()).await.0, 200);
    assert_eq!(
        answer(Origins::same_host().also_http(), foreign()).await.0,
        403
    );
    assert_eq!(answer(strict(), foreign()).await.0, 403);
    assert_eq!(answer(strict(), silent()).await.0, 200);
    // A handshake without an origin is no browser's, and patterns ask for one.
    assert_eq!(answer(strict(), websocket()).await.0, 403);
    assert_eq!(answer(Origins::same_host(), websocket()).await.0, 200);
}

#[actix_web::test]
async fn a_denial_is_logged_once_with_origin_and_path() {
    let logs = Logs::of_this_thread();
    let request = websocket()
        .uri("/ws/lobby?token=secret")
        .insert_header((header::ORIGIN, "http://b.com"));
    answer(Origins::same_host(), request).await;
    let text = logs.take();
    let denials: Vec<_> = text
        .lines()
        .filter(|line| line.contains("origin"))
        .collect();
    assert_eq!(denials.len(), 1, "{text}");
    assert!(denials[0].contains(" WARN "), "{text}");
    assert!(denials[0].contains("http://b.com"), "{text}");
    assert!(denials[0].contains("path=\"/ws/lobby\""), "{text}");
    assert!(!text.contains("secret"), "{text}");
}
