use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use actix_web::{App, HttpRequest, web};
use fanfare_consumer::Cluster;
use fanfare_gateway::{Bind, BindError, Bound, Server, ServerHandle};

use super::client::{Client, handshake};

const REQUEST: &[u8] = b"GET /count HTTP/1.1\r\nHost: here\r\n\r\n";

/// A server that runs until it is dropped.
struct Running {
    addresses: Vec<Bind>,
    handle: ServerHandle,
    run: JoinHandle<std::io::Result<()>>,
}

impl Running {
    fn new(bound: Bound) -> Self {
        let addresses = bound.addresses().to_vec();
        let (handle, run) = bound.run();
        let run = actix_web::rt::spawn(run);
        Self {
            addresses,
            handle,
            run,
        }
    }

    async fn ask(&self, request: &[u8]) -> Client {
        let mut client = Client::connect(&self.addresses[0]).await;
        client.send(request).await;
        client
    }

    async fn stop(self) {
        self.handle.stop(false).await;
        self.run.await.unwrap().unwrap();
    }
}

async fn count(counter: web::Data<AtomicUsize>) -> String {
    counter.fetch_add(1, Ordering::Relaxed).to_string()
}

fn counting() -> App<
    impl actix_web::dev::ServiceFactory<
        actix_web::dev::ServiceRequest,
        Config = (),
        Response = actix_web::dev::ServiceResponse,
        Error = actix_web::Error,
        InitError = (),
    >,
> {
    App::new()
        .app_data(web::Data::new(AtomicUsize::new(0)))
        .route("/count", web::get().to(count))
}

async fn answer(client: &mut Client) -> String {
    let head = client.head().await;
    let length = super::client::header(&head, "content-length").unwrap();
    let body = client.bytes(length.parse().unwrap()).await;
    String::from_utf8(body).unwrap()
}

#[actix_web::test]
async fn plain_requests_and_handshakes_of_a_thread_share_one_app() {
    let server = Server::new(Cluster::memory().unwrap(), counting).workers(1);
    let server = Running::new(server.bind("127.0.0.1:0").unwrap());
    let mut plain = server.ask(REQUEST).await;
    assert_eq!(answer(&mut plain).await, "0");
    let mut refused = server.ask(&handshake("/count")).await;
    assert_eq!(answer(&mut refused).await, "1");
    server.stop().await;
}

#[actix_web::test]
async fn the_program_may_bring_listeners_of_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("socket");
    let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = tcp.local_addr().unwrap();
    let bound = Server::new(Cluster::memory().unwrap(), counting)
        .workers(1)
        .listen(tcp)
        .unwrap()
        .listen_uds(UnixListener::bind(&path).unwrap())
        .unwrap();
    let expected = [Bind::Tcp(address), Bind::Unix(path)];
    assert_eq!(bound.addresses(), expected);
    let server = Running::new(bound);
    for bind in &expected {
        let mut client = Client::connect(bind).await;
        client.send(REQUEST).await;
        assert_eq!(answer(&mut client).await, "0");
    }
    server.stop().await;
}

#[test]
fn a_number_of_workers_that_cannot_be_is_refused() {
    for workers in [0, 65] {
        let server = Server::new(Cluster::memory().unwrap(), counting).workers(workers);
        let refused = server.bind("127.0.0.1:0").err().unwrap();
        assert!(matches!(refused, BindError::Workers { most: 64, .. }));
        let message = refused.to_string();
        assert!(message.ends_with(&format!("not {workers}")), "{message}");
    }
}

#[actix_web::test]
async fn what_on_connect_leaves_is_there_for_plain_requests_and_for_handshakes() {
    struct Number(usize);
    async fn number(request: HttpRequest) -> String {
        request.conn_data::<Number>().unwrap().0.to_string()
    }
    let connections = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&connections);
    let app = || App::new().route("/count", web::get().to(number));
    let server = Server::new(Cluster::memory().unwrap(), app)
        .workers(1)
        .on_connect(move |connection, data| {
            assert!(connection.is::<actix_web::rt::net::TcpStream>());
            data.insert(Number(seen.fetch_add(1, Ordering::Relaxed)));
        });
    let server = Running::new(server.bind("127.0.0.1:0").unwrap());
    let mut plain = server.ask(REQUEST).await;
    assert_eq!(answer(&mut plain).await, "0");
    plain.send(&handshake("/count")).await;
    assert_eq!(answer(&mut plain).await, "0");
    let mut other = server.ask(&handshake("/count")).await;
    assert_eq!(answer(&mut other).await, "1");
    server.stop().await;
}

#[actix_web::test]
async fn an_idle_connection_ends_after_the_keep_alive_time() {
    let server = Server::new(Cluster::memory().unwrap(), counting)
        .workers(1)
        .keep_alive(Duration::from_millis(100));
    let server = Running::new(server.bind("127.0.0.1:0").unwrap());
    let mut client = server.ask(REQUEST).await;
    assert_eq!(answer(&mut client).await, "0");
    // Whoever sends now learns that it was in vain.
    let goodbye = client.response().await;
    goodbye.expect_whole(408);
    assert!(goodbye.text().contains("connection_idle"));
    server.stop().await;
}

#[actix_web::test]
async fn nothing_follows_an_answer_that_ends_its_connection() {
    let server = Server::new(Cluster::memory().unwrap(), counting)
        .workers(1)
        .keep_alive(Duration::from_millis(100));
    let server = Running::new(server.bind("127.0.0.1:0").unwrap());
    let last = b"GET /count HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n";
    let response = server.ask(last).await.response().await;
    assert_eq!(response.text(), "0");
    server.stop().await;
}

#[actix_web::test]
async fn half_a_request_is_answered_408_after_the_request_timeout() {
    let server = Server::new(Cluster::memory().unwrap(), counting)
        .workers(1)
        .client_request_timeout(Duration::from_millis(100));
    let server = Running::new(server.bind("127.0.0.1:0").unwrap());
    let response = server.ask(&REQUEST[..20]).await.response().await;
    assert_eq!(response.status(), 408);
    server.stop().await;
}

#[actix_web::test]
async fn a_connection_beyond_the_highest_number_waits_for_another_one_to_end() {
    let server = Server::new(Cluster::memory().unwrap(), counting)
        .workers(1)
        .max_connections(1);
    let server = Running::new(server.bind("127.0.0.1:0").unwrap());
    let mut first = server.ask(REQUEST).await;
    assert_eq!(answer(&mut first).await, "0");
    let mut second = server.ask(REQUEST).await;
    for expected in 1..20 {
        first.send(REQUEST).await;
        assert_eq!(answer(&mut first).await, expected.to_string());
    }
    drop(first);
    assert_eq!(answer(&mut second).await, "20");
    server.stop().await;
}
