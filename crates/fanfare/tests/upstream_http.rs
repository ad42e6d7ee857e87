//! What the tests of Channels' HTTP consumers show, which are plain actix-web handlers here;
//! `docs/UPSTREAM-TESTS.md` says which is which.

use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use actix_web::{App, HttpResponse, web};
use fanfare::testing::{self, Application};
use fanfare::{Consumer, Frame, Frames, Outcome, Session, consumer};
use serde::Deserialize;

#[actix_web::test]
async fn a_plain_handler_reads_json_and_answers_json() {
    #[derive(Deserialize)]
    struct Asked {
        value: u32,
    }
    testing::pause();
    let handler = async |body: web::Json<Asked>| {
        HttpResponse::Ok().json(serde_json::json!({ "value": body.value }))
    };
    let app = Application::new(|| App::new().route("/test/", web::post().to(handler))).await;
    let body = serde_json::json!({ "value": 42, "anything": false });
    let request = TestRequest::post().uri("/test/").set_json(body);
    let response = app.request(request).await;
    assert_eq!(response.status, StatusCode::OK);
    assert_eq!(response.text(), r#"{"value":42}"#);
    assert_eq!(response.header("content-type"), Some("application/json"));
}

#[actix_web::test]
async fn an_error_of_a_plain_handler_reaches_the_client_as_a_response() {
    testing::pause();
    let handler = async || Err::<&str, _>(actix_web::error::ErrorInternalServerError("raised"));
    let app = Application::new(|| App::new().route("/", web::get().to(handler))).await;
    let response = app.get("/").await;
    assert_eq!((response.status.as_u16(), response.text()), (500, "raised"));
}

/// Tells which of all that were made it is.
struct Numbered(usize);

impl Consumer for Numbered {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session, _: Frame) -> Outcome {
        session.send_text(&self.0.to_string()).await?;
        Ok(())
    }
}

#[actix_web::test]
async fn every_session_has_a_consumer_of_its_own() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    testing::pause();
    let made = Arc::new(AtomicUsize::new(0));
    let make = move || Numbered(made.fetch_add(1, Ordering::Relaxed));
    let app = Application::new(|| App::new().service(consumer("/test/", make))).await;
    let mut told = Vec::new();
    for _ in 0..2 {
        let mut client = app.connect("/test/").await.accepted();
        client.send_text("which?").await;
        told.push(client.receive_text().await);
    }
    assert_ne!(told[0], told[1]);
}
