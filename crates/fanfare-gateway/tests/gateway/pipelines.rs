//! Clients that send requests without waiting for the responses.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use actix_web::{App, HttpResponse, web};
use fanfare_consumer::Cluster;
use fanfare_gateway::{Bind, Server};

use super::client::{Client, PATIENCE};

/// More than fit into what is read at one go.
const FLOOD: usize = 2_000;
/// The request of the flood at which the neighbour asks.
const MIDDLE: usize = 500;

/// Two routes of one thread.
struct Counting {
    flood: AtomicUsize,
    /// How many requests of the flood there were when the neighbour was answered.
    seen: AtomicUsize,
    neighbour: Mutex<Option<TcpStream>>,
}

async fn flood(counting: web::Data<Counting>) -> HttpResponse {
    let number = 1 + counting.flood.fetch_add(1, Ordering::SeqCst);
    if number == MIDDLE {
        let neighbour = counting.neighbour.lock().unwrap();
        let mut socket = neighbour.as_ref().unwrap();
        socket.write_all(&request("neighbour")).unwrap();
    }
    // A request takes its time.
    let started = Instant::now();
    while started.elapsed() < Duration::from_micros(50) {
        std::hint::spin_loop();
    }
    HttpResponse::Ok().body("flood")
}

async fn neighbour(counting: web::Data<Counting>) -> HttpResponse {
    let flood = counting.flood.load(Ordering::SeqCst);
    counting.seen.store(flood, Ordering::SeqCst);
    HttpResponse::Ok().body("neighbour")
}

fn request(path: &str) -> Vec<u8> {
    format!("GET /{path} HTTP/1.1\r\nHost: here\r\n\r\n").into_bytes()
}

#[actix_web::test]
async fn another_client_is_answered_between_the_requests_that_one_client_pipelines() {
    let counting = web::Data::from(Arc::new(Counting {
        flood: AtomicUsize::new(0),
        seen: AtomicUsize::new(0),
        neighbour: Mutex::default(),
    }));
    let data = counting.clone();
    let app = move || {
        App::new()
            .app_data(data.clone())
            .route("/flood", web::get().to(flood))
            .route("/neighbour", web::get().to(neighbour))
    };
    let server = Server::new(Cluster::memory().unwrap(), app).workers(1);
    let bound = server.bind("127.0.0.1:0").unwrap();
    let address = bound.addresses()[0].clone();
    let (handle, run) = bound.run();
    let run = actix_web::rt::spawn(run);
    // Its connection is open and in use before the flood.
    let beside = connected(&address).await;
    counting.neighbour.lock().unwrap().replace(beside);
    let mut flooder = Client::connect(&address).await;
    flooder.send(&request("flood").repeat(FLOOD)).await;
    for _ in 0..FLOOD {
        let head = flooder.head().await;
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert_eq!(flooder.bytes(5).await, b"flood");
    }
    let seen = counting.seen.load(Ordering::SeqCst);
    // The rest of one turn and the whole of the next: half a millisecond each.
    let behind = seen
        .checked_sub(MIDDLE)
        .expect("it is answered after it has asked");
    assert!(behind <= 40, "behind {behind} requests of another client");
    handle.stop(false).await;
    run.await.unwrap().unwrap();
}

/// A connection that has been answered once.
async fn connected(address: &Bind) -> TcpStream {
    let Bind::Tcp(address) = *address else {
        panic!("no TCP address")
    };
    let connect = move || {
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.write_all(&request("neighbour")).unwrap();
        let mut answer = Vec::new();
        let mut buffer = [0; 1024];
        while !answer.ends_with(b"neighbour") {
            let read = socket.read(&mut buffer).unwrap();
            assert_ne!(read, 0, "closed");
            answer.extend(&buffer[..read]);
        }
        socket
    };
    web::block(connect).await.unwrap()
}
