use std::os::unix::net::UnixListener;

use fanfare_gateway::{Bind, BindError};

use super::client::{Client, PATIENCE, handshake};
use super::rig::{Options, Rig, any_port};

/// The address that was refused, and why.
fn refused(binds: Vec<Bind>) -> (String, std::io::ErrorKind) {
    match Rig::with(on(binds)).err().unwrap() {
        BindError::Address { address, error } => (address, error.kind()),
        other => panic!("{other}"),
    }
}

fn on(binds: Vec<Bind>) -> Options {
    Options {
        binds,
        ..Options::default()
    }
}

#[actix_web::test]
async fn a_socket_file_that_nobody_listens_on_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "a listener leaves its file behind");
    let rig = Rig::with(on(vec![Bind::Unix(path)])).unwrap();
    rig.open("/ws/a").await;
}

#[actix_web::test]
async fn a_socket_file_that_somebody_listens_on_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway");
    let _live = UnixListener::bind(&path).unwrap();
    let (address, kind) = refused(vec![Bind::Unix(path.clone())]);
    assert_eq!(kind, std::io::ErrorKind::AddrInUse);
    assert_eq!(address, format!("unix:{}", path.display()));
    assert!(path.exists());
}

#[actix_web::test]
async fn a_file_that_is_no_socket_is_never_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notes");
    std::fs::write(&path, "dear diary").unwrap();
    let (_, kind) = refused(vec![Bind::Unix(path.clone())]);
    assert_eq!(kind, std::io::ErrorKind::AddrInUse);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "dear diary");
}

#[actix_web::test]
async fn a_port_in_use_is_named_and_nothing_is_listened_on() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("gateway");
    let binds = vec![Bind::Unix(path.clone()), Bind::Tcp(address)];
    let (named, kind) = refused(binds);
    assert_eq!(named, address.to_string());
    assert_eq!(kind, std::io::ErrorKind::AddrInUse);
    let refused = std::os::unix::net::UnixStream::connect(&path);
    assert!(refused.is_err(), "the other address is still listened on");
}

#[actix_web::test]
async fn every_address_is_listened_on() {
    let rig = Rig::with(on(vec![any_port(), any_port()])).unwrap();
    assert_ne!(rig.addresses[0], rig.addresses[1]);
    for address in &rig.addresses {
        let mut client = Client::connect(address).await;
        client.send(&handshake("/ws/a")).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    }
}

#[actix_web::test]
async fn a_stop_ends_the_run_although_sessions_are_open() {
    let rig = Rig::new();
    let (_client, _) = rig.open("/ws/a").await;
    rig.handle.stop(true).await;
    let ended = tokio::time::timeout(PATIENCE, rig.run).await;
    ended.expect("run goes on").unwrap().unwrap();
    let Bind::Tcp(address) = rig.addresses[0] else {
        panic!("not TCP")
    };
    let refused = tokio::net::TcpStream::connect(address).await;
    assert!(refused.is_err(), "somebody still listens");
}
