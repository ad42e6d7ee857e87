//! Programs that are put together wrongly: each learns what to change.

use actix_web::http::StatusCode;
use actix_web::test::{TestRequest, call_service, init_service, read_body_json};
use actix_web::{App, HttpServer, Route, web};
use fanfare::testing::{Application, Connecting, LiveServer, Response};
use fanfare::{Cluster, ClusterOptions, Consumer, Frames, consumer};
use fanfare_rig::Logs;
use serde_json::Value;

#[derive(Clone)]
struct Desk;

impl Consumer for Desk {
    type Event = Frames;
}

fn message(response: &Response) -> String {
    let body: Value = response.json();
    body["error"]["message"].as_str().unwrap().to_owned()
}

async fn with_data(_: web::Data<Cluster>) -> &'static str {
    "found"
}

async fn with_other_data(_: web::Data<u8>) -> &'static str {
    "found"
}

fn data() -> Route {
    web::get().to(with_data)
}

#[actix_web::test]
async fn the_cluster_as_web_data_is_answered_with_what_to_write() {
    let logs = Logs::of_this_thread();
    let app = Application::new(|| App::new().route("/", data())).await;
    let response = app.get("/").await;
    assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
    let told = message(&response);
    assert!(
        told.contains("argument of the type Cluster, not web::Data<Cluster>"),
        "{told}"
    );
    let logged = logs.take();
    assert!(
        logged.contains("ERROR") && logged.contains(&told),
        "{logged}"
    );
}

#[actix_web::test]
async fn a_real_server_says_so_too_and_leaves_other_responses_alone() {
    let server = LiveServer::new(|| {
        let fails = web::get()
            .to(async || Err::<&str, _>(actix_web::error::ErrorInternalServerError("mine")));
        App::new().route("/", data()).route("/fails", fails)
    });
    let (told, fails) = actix_web::web::block({
        let urls = [server.url("/"), server.url("/fails")];
        move || {
            let [one, other] = urls.map(|url| get(&url));
            (one, other)
        }
    })
    .await
    .unwrap();
    assert!(told.contains("not web::Data<Cluster>"), "{told}");
    assert!(fails.ends_with("\r\n\r\nmine"), "{fails}");
}

/// The whole response to a GET.
fn get(url: &str) -> String {
    use std::io::{Read as _, Write as _};
    let (address, path) = url
        .strip_prefix("http://")
        .unwrap()
        .split_once('/')
        .unwrap();
    let mut socket = std::net::TcpStream::connect(address).unwrap();
    let request = format!("GET /{path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).unwrap();
    let mut response = String::new();
    socket.read_to_string(&mut response).unwrap();
    response
}

#[actix_web::test]
async fn data_that_the_app_does_not_have_is_named_as_well_and_what_it_has_is_found() {
    let app = Application::new(|| {
        let cluster = web::Data::new(Cluster::memory().unwrap());
        App::new()
            .app_data(cluster)
            .route("/", data())
            .route("/other", web::get().to(with_other_data))
    })
    .await;
    assert_eq!(app.get("/").await.text(), "found");
    let told = message(&app.get("/other").await);
    assert!(told.contains("App::app_data"), "{told}");
}

#[actix_web::test]
async fn a_handshake_without_a_route_says_that_one_is_missing() {
    let scope = || web::scope("/api").service(consumer("/ws/", || Desk));
    let app = Application::new(|| App::new().service(scope())).await;
    let response = app.connect("/ws/").await.rejected();
    assert_eq!(response.status, StatusCode::NOT_FOUND);
    let told = message(&response);
    assert!(
        told.contains("App::service(consumer(path, factory))"),
        "{told}"
    );
    assert!(app.connect("/api/ws/").await.is_accepted());
    // A plain request has a 404 of actix-web.
    assert_eq!(app.get("/nowhere").await.text(), "");
}

#[actix_web::test]
async fn a_handshake_at_the_server_of_actix_web_names_the_other_server() {
    let app = || App::new().service(consumer("/ws/", || Desk));
    let server = HttpServer::new(app).workers(1).disable_signals();
    let server = server.bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    let served = actix_web::rt::spawn(running);
    let response = Connecting::to(address, "/ws/").connect().await.rejected();
    assert_eq!(response.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(message(&response).contains("WebSocket routes need fanfare::Server"));
    handle.stop(false).await;
    served.await.unwrap().unwrap();
}

#[actix_web::test]
async fn a_handshake_in_a_plain_test_of_actix_web_is_logged() {
    let logs = Logs::of_this_thread();
    let app = init_service(App::new().service(consumer("/ws/", || Desk))).await;
    let request = TestRequest::get()
        .uri("/ws/")
        .insert_header(("upgrade", "websocket"));
    let response = call_service(&app, request.to_request()).await;
    let body: Value = read_body_json(response).await;
    let told = body["error"]["message"].as_str().unwrap();
    assert!(logs.take().contains(told), "{told}");
}

#[test]
fn two_clusters_with_one_registry_say_that_each_needs_its_own() {
    let options = ClusterOptions::default();
    let _one = Cluster::new(options.clone()).unwrap();
    let error = Cluster::new(options).unwrap_err().to_string();
    assert!(
        error.contains("a prometheus::Registry of its own"),
        "{error}"
    );
}

#[test]
fn a_cluster_over_redis_outside_of_a_runtime_says_where_to_make_it() {
    let error = Cluster::redis(["redis://127.0.0.1:1"])
        .unwrap_err()
        .to_string();
    assert!(error.contains("#[actix_web::main]"), "{error}");
}

#[actix_web::test]
async fn an_event_without_a_type_says_how_serde_gives_it_one() {
    #[derive(serde::Serialize)]
    struct Note {
        text: &'static str,
    }
    let cluster = Cluster::memory().unwrap();
    let sent = cluster.broadcast(&Note { text: "a" }).await;
    let error = sent.unwrap_err().to_string();
    assert!(error.contains("#[serde(tag = \"type\")]"), "{error}");
}
