use std::time::Duration;

use actix_web::{App, HttpResponse, web};
use fanfare_consumer::Cluster;
use fanfare_gateway::{Bind, Bound, DrainOptions, Server, Signals};
use rustix::process::{Signal, getpid, kill_process};

use super::app::app;
use super::client::{Client, PATIENCE, frame, handshake};
use super::rig::shared;

async fn sessions(cluster: Cluster) -> HttpResponse {
    HttpResponse::Ok().body(cluster.node().id().to_string())
}

async fn node_behind(bind: &Bind) -> String {
    let mut client = Client::connect(bind).await;
    client
        .send(b"GET /node HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
        .await;
    client.response().await.text().to_owned()
}

fn bound(cluster: &Cluster) -> Bound {
    let app = || App::new().route("/node", web::get().to(sessions));
    let server = Server::new(cluster, app).workers(1);
    server.bind("127.0.0.1:0").unwrap()
}

#[actix_web::test]
async fn handlers_get_the_cluster_of_their_server() {
    let cluster = Cluster::memory().unwrap();
    let bound = bound(&cluster);
    let address = bound.addresses()[0].clone();
    let (handle, run) = bound.run();
    let run = actix_web::rt::spawn(run);
    assert_eq!(node_behind(&address).await, cluster.node().id().to_string());
    handle.stop(false).await;
    run.await.unwrap().unwrap();
}

#[tokio::test]
async fn a_server_listens_wherever_it_was_bound_under_a_plain_tokio_runtime_too() {
    let cluster = Cluster::memory().unwrap();
    let bound = bound(&cluster).bind(("127.0.0.1", 0)).unwrap();
    let [one, two] = bound.addresses() else {
        panic!("not two addresses")
    };
    let (one, two) = (one.clone(), two.clone());
    let (handle, run) = bound.run();
    let run = tokio::spawn(run);
    let node = cluster.node().id().to_string();
    assert_eq!(node_behind(&one).await, node);
    assert_eq!(node_behind(&two).await, node);
    handle.stop(false).await;
    run.await.unwrap().unwrap();
}

#[actix_web::test]
async fn a_signal_drains_and_closes_the_sessions_with_1001() {
    let shared = shared();
    let cluster = Cluster::of(shared.node.clone(), &prometheus::Registry::new()).unwrap();
    let node = shared.node.clone();
    let draining_cluster = cluster.clone();
    assert!(!draining_cluster.is_draining());
    let (draining, drain) = tokio::sync::oneshot::channel();
    let bound = Server::new(cluster, move || app(shared.clone()))
        .workers(1)
        .bind("127.0.0.1:0")
        .unwrap()
        .drain(DrainOptions {
            window: Duration::ZERO,
            ..DrainOptions::default()
        })
        .on_drain(|| draining.send(()).unwrap());
    let address = bound.addresses()[0].clone();
    // Caught from here on: before, the signal would end the whole test.
    let signals = Signals::catch().unwrap();
    let served = actix_web::rt::spawn(bound.serve_with(signals));
    let mut client = Client::connect(&address).await;
    client.send(&handshake("/ws/a")).await;
    let head = client.head().await;
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    kill_process(getpid(), Signal::TERM).unwrap();
    let head = client.bytes(2).await;
    let payload = client.bytes(usize::from(head[1])).await;
    assert_eq!(
        (head[0], &payload[..2]),
        (0x88, &1001_u16.to_be_bytes()[..])
    );
    client.send(&frame(8, &payload)).await;
    let ended = tokio::time::timeout(PATIENCE, served).await;
    ended.expect("it goes on").unwrap().unwrap();
    drain.await.unwrap();
    assert!(draining_cluster.is_draining());
    assert_eq!(node.sessions(), 0);
    let Bind::Tcp(address) = address else {
        panic!("not TCP")
    };
    let refused = tokio::net::TcpStream::connect(address).await;
    assert!(refused.is_err(), "somebody still listens");
}
