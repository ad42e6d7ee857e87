//! Connections that nobody uses for anything, and what they may cost.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use actix_web::web::Bytes;
use actix_web::{App, HttpResponse, web};
use fanfare_consumer::Cluster;
use fanfare_gateway::{Bind, ConnectionMetrics, Server, ServerHandle};
use prometheus::Registry;
use socket2::SockRef;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;

use super::client::{Client, PATIENCE};

const UNREAD: usize = 400;
/// Far more than the system takes for a client that does not read.
static LARGE: [u8; 256 << 10] = [0; 256 << 10];

/// A server of one thread with its metrics.
struct Plain {
    address: Bind,
    registry: Registry,
    hold: Arc<Hold>,
    handle: ServerHandle,
    run: JoinHandle<std::io::Result<()>>,
}

/// Of the requests to `/hold`.
struct Hold {
    /// A permit for each that is at the App.
    begun: Semaphore,
    /// A permit for each that may be answered.
    release: Semaphore,
}

async fn hold(hold: web::Data<Hold>) -> HttpResponse {
    hold.begun.add_permits(1);
    hold.release.acquire().await.unwrap().forget();
    HttpResponse::Ok().body("held")
}

async fn closing() -> HttpResponse {
    HttpResponse::Ok().force_close().body("closing")
}

impl Plain {
    fn start(connections: usize, write_timeout: Duration) -> Self {
        let registry = Registry::new();
        let semaphore = || Semaphore::new(0);
        let holding = Arc::new(Hold {
            begun: semaphore(),
            release: semaphore(),
        });
        let data = web::Data::from(Arc::clone(&holding));
        let app = move || {
            let large = async || HttpResponse::Ok().body(Bytes::from_static(&LARGE));
            App::new()
                .app_data(data.clone())
                .route("/live", web::get().to(async || "live"))
                .route("/large", web::get().to(large))
                .route("/hold", web::get().to(hold))
                .route("/closing", web::get().to(closing))
        };
        let bound = Server::new(Cluster::memory().unwrap(), app)
            .workers(1)
            .http_connections(connections)
            .write_timeout(write_timeout)
            .metrics(ConnectionMetrics::new(&registry).unwrap())
            .bind("127.0.0.1:0")
            .unwrap();
        let address = bound.addresses()[0].clone();
        let (handle, run) = bound.run();
        Self {
            address,
            registry,
            hold: holding,
            handle,
            run: actix_web::rt::spawn(run),
        }
    }

    fn metric(&self, name: &str, cause: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.unwrap().get_metric().iter();
        let of = |it: &&prometheus::proto::Metric| {
            cause.is_empty() || it.get_label().iter().any(|label| label.value() == cause)
        };
        let value = |it: &prometheus::proto::Metric| {
            it.get_gauge().get_value() + it.get_counter().get_value()
        };
        metrics.filter(of).map(value).sum()
    }

    fn closed(&self, cause: &str) -> f64 {
        self.metric("fanfare_http_connections_closed_total", cause)
    }

    async fn connect(&self) -> Client {
        Client::connect(&self.address).await
    }

    async fn stop(self) {
        self.handle.stop(false).await;
        self.run.await.unwrap().unwrap();
    }
}

fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n").into_bytes()
}

async fn ask(client: &mut Client) {
    client.send(&get("/live")).await;
    assert!(client.head().await.starts_with("HTTP/1.1 200"));
    assert_eq!(client.bytes(4).await, b"live");
}

/// A client whose system takes little in.
async fn small(address: &Bind) -> TcpStream {
    let Bind::Tcp(address) = address else {
        panic!("no TCP address")
    };
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(*address).await.unwrap()
}

#[actix_web::test]
async fn clients_that_never_read_are_gone_after_the_write_timeout_and_health_is_answered() {
    let server = Plain::start(0, Duration::from_millis(500));
    let mut health = server.connect().await;
    let mut unread = Vec::new();
    for _ in 0..UNREAD {
        let client = small(&server.address).await;
        client.writable().await.unwrap();
        let request = get("/large");
        assert_eq!(client.try_write(&request).unwrap(), request.len());
        unread.push(client);
    }
    let gone = async {
        while server.closed("unread") < UNREAD as f64 {
            ask(&mut health).await;
        }
    };
    tokio::time::timeout(3 * PATIENCE, gone).await.unwrap();
    assert_eq!(server.closed("unread"), UNREAD as f64);
    assert_eq!(server.metric("fanfare_http_connections", ""), 1.0);
    drop(unread);
    server.stop().await;
}

#[actix_web::test]
async fn one_more_connection_takes_the_place_of_the_one_that_is_idle_for_the_longest_time() {
    let server = Plain::start(3, PATIENCE);
    let mut clients = Vec::new();
    for _ in 0..3 {
        let mut client = server.connect().await;
        ask(&mut client).await;
        clients.push(client);
    }
    // The second is now the one that was used last.
    ask(&mut clients[1]).await;
    let mut fourth = server.connect().await;
    ask(&mut fourth).await;
    let told = clients.remove(0).response().await;
    told.expect_whole(408);
    assert!(told.text().contains("connection_idle"), "{}", told.text());
    for client in &mut clients {
        ask(client).await;
    }
    assert_eq!(server.closed("crowded"), 1.0);
    assert_eq!(server.metric("fanfare_http_connections", ""), 3.0);
    server.stop().await;
}

#[actix_web::test]
async fn a_client_that_does_not_read_makes_room_for_another_before_its_time_is_over() {
    let server = Plain::start(1, 6 * PATIENCE);
    let unread = small(&server.address).await;
    unread.writable().await.unwrap();
    assert!(unread.try_write(&get("/large")).unwrap() > 0);
    unread.readable().await.unwrap();
    ask(&mut server.connect().await).await;
    assert_eq!(server.closed("crowded"), 1.0);
    server.stop().await;
}

#[actix_web::test]
async fn a_connection_with_a_request_in_work_keeps_its_place_and_one_more_is_refused() {
    let server = Plain::start(1, PATIENCE);
    let mut busy = server.connect().await;
    busy.send(&get("/hold")).await;
    let begun = tokio::time::timeout(PATIENCE, server.hold.begun.acquire()).await;
    begun.unwrap().unwrap().forget();
    let refused = server.connect().await.response().await;
    refused.expect_whole(503);
    assert!(refused.text().contains("too_many_connections"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.hold.release.add_permits(1);
    assert!(busy.head().await.starts_with("HTTP/1.1 200"));
    assert_eq!(busy.bytes(4).await, b"held");
    ask(&mut busy).await;
    server.stop().await;
}

#[actix_web::test]
async fn nothing_is_answered_behind_a_request_or_a_response_that_closes() {
    let server = Plain::start(0, PATIENCE);
    let closes = b"GET /live HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n".to_vec();
    let handshake = super::client::handshake("/live");
    for (first, body) in [(closes, "live"), (get("/closing"), "closing")] {
        for behind in [get("/live").repeat(20), handshake.clone()] {
            let mut client = server.connect().await;
            client.send(&[&*first, &behind].concat()).await;
            let response = client.response().await;
            assert_eq!(response.status(), 200);
            assert_eq!(response.text(), body, "something more was answered");
        }
    }
    server.stop().await;
}

#[actix_web::test]
async fn a_connection_is_given_up_when_its_machine_is_gone_before_it_is_a_session_too() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = Mutex::new(tell);
    let app = || App::new().route("/live", web::get().to(async || "live"));
    let bound = Server::new(Cluster::memory().unwrap(), app)
        .workers(1)
        .on_connect(move |io, _| {
            let socket = io.downcast_ref::<TcpStream>().unwrap();
            let timeout = SockRef::from(socket).tcp_user_timeout().unwrap();
            tell.lock().unwrap().send(timeout).unwrap();
        })
        .bind("127.0.0.1:0")
        .unwrap();
    let address = bound.addresses()[0].clone();
    let (handle, run) = bound.run();
    let run = actix_web::rt::spawn(run);
    ask(&mut Client::connect(&address).await).await;
    assert_eq!(told.recv().unwrap(), Some(Duration::from_secs(30)));
    handle.stop(false).await;
    run.await.unwrap().unwrap();
}
