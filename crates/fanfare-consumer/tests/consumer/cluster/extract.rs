//! The cluster as an extractor, under a server that is not Fanfare's.

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
use actix_web::{App, HttpResponse, web};
use fanfare_consumer::Cluster;
use serde_json::Value;

use super::rig::{Listener, flash};

async fn notify(cluster: Cluster) -> HttpResponse {
    match cluster.broadcast(&flash("pushed")).await {
        Ok(()) => HttpResponse::NoContent().finish(),
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
    }
}

#[actix_web::test]
async fn a_handler_gets_the_cluster_that_the_app_has_bare_or_as_data() {
    let cluster = Cluster::memory().unwrap();
    let mut listener = Listener::of(&cluster);
    let data = App::new().app_data(web::Data::new(cluster.clone()));
    let data = init_service(data.route("/", web::post().to(notify))).await;
    let request = TestRequest::post().to_request();
    let answer = call_service(&data, request).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(listener.text().await, "pushed");
    let bare = App::new().app_data(cluster);
    let bare = init_service(bare.route("/", web::post().to(notify))).await;
    let request = TestRequest::post().to_request();
    let answer = call_service(&bare, request).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(listener.text().await, "pushed");
}

#[actix_web::test]
async fn a_handler_without_a_cluster_anywhere_is_answered_500_with_what_to_do() {
    let app = init_service(App::new().route("/", web::post().to(notify))).await;
    let request = TestRequest::post().to_request();
    let answer = call_service(&app, request).await;
    assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let body: Value = read_body_json(answer).await;
    assert_eq!(body["error"]["code"], "internal");
    let message = body["error"]["message"].as_str().unwrap();
    assert!(message.contains("fanfare::Server"), "{message}");
}
