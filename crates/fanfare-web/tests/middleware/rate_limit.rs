use std::time::Duration;

use actix_web::test::{TestRequest, call_service, init_service};
use actix_web::{App, HttpResponse, web};
use fanfare_consumer::TrustedProxies;
use fanfare_consumer::middleware::RateLimit;

use super::{answer, error, websocket};

/// No budget comes back while a test runs.
const AGES: Duration = Duration::from_secs(24 * 3600);

fn from(request: TestRequest, peer: &str) -> TestRequest {
    request.peer_addr(format!("{peer}:4711").parse().unwrap())
}

#[actix_web::test]
async fn each_client_has_a_budget_for_requests_and_handshakes_together() {
    let limit = RateLimit::per_client(2, AGES);
    for peer in ["192.0.2.1", "192.0.2.2"] {
        for (request, status) in [
            (TestRequest::get(), 200),
            (websocket(), 200),
            (TestRequest::get(), 429),
            (websocket(), 429),
        ] {
            // Every call builds the App anew: the budget lies outside of it.
            let answered = answer(limit.clone(), from(request, peer)).await;
            assert_eq!(answered.0, status, "{peer}");
        }
    }
}

#[actix_web::test]
async fn a_refusal_says_when_to_come_back() {
    let limit = RateLimit::per_client(2, Duration::from_secs(240)).burst(1);
    let app = App::new()
        .wrap(limit)
        .default_service(web::to(HttpResponse::Ok));
    let service = init_service(app).await;
    let ask = || from(TestRequest::get(), "192.0.2.1").to_request();
    assert_eq!(call_service(&service, ask()).await.status(), 200);
    let response = call_service(&service, ask()).await;
    assert_eq!(response.status(), 429);
    let seconds = response.headers().get("retry-after").unwrap();
    let seconds: u64 = seconds.to_str().unwrap().parse().unwrap();
    assert!((1..=120).contains(&seconds), "{seconds}");
    let body = actix_web::test::read_body(response).await;
    assert_eq!(body, error("rate_limited", "too many requests"));
}

#[actix_web::test]
async fn behind_a_trusted_proxy_a_client_is_whom_it_names() {
    let proxies = web::Data::new(TrustedProxies::new(["10.0.0.1"]).unwrap());
    let app = App::new()
        .app_data(proxies)
        .wrap(RateLimit::per_client(1, AGES))
        .default_service(web::to(HttpResponse::Ok));
    let service = init_service(app).await;
    for (peer, named, status) in [
        ("10.0.0.1", "203.0.113.1", 200),
        ("10.0.0.1", "203.0.113.2", 200),
        ("10.0.0.1", "203.0.113.1", 429),
        // Who is not trusted names nobody.
        ("192.0.2.1", "203.0.113.3", 200),
        ("192.0.2.1", "203.0.113.4", 429),
    ] {
        let request = from(TestRequest::get(), peer).insert_header(("x-forwarded-for", named));
        let response = call_service(&service, request.to_request()).await;
        assert_eq!(response.status(), status, "{peer} {named}");
    }
}

#[actix_web::test]
async fn a_process_on_a_unix_socket_is_not_limited() {
    let limit = RateLimit::per_client(1, AGES);
    for _ in 0..5 {
        assert_eq!(answer(limit.clone(), TestRequest::get()).await.0, 200);
    }
}
