//! Servers that get it wrong on purpose, and whether the loader notices.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread::JoinHandle;
use std::time::Duration;

use super::payload::delivered;
use super::{FanOut, Plan, RoundTrip, connect_all};
use crate::handshake::{accept_key, header};

const PLAN: Plan = Plan {
    in_flight: 1,
    time: Duration::from_secs(5),
    messages: 3,
    stall: Duration::from_millis(300),
};

/// Accepts `members`, then calls `answer` for each read on the first of them, until that closes.
fn serve(
    members: usize,
    mut answer: impl FnMut(&mut [TcpStream]) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let mut sockets: Vec<TcpStream> = (0..members).map(|_| shake(&listener)).collect();
        let mut buffer = [0; 4096];
        while sockets[0].read(&mut buffer).is_ok_and(|read| read > 0) {
            answer(&mut sockets);
        }
    });
    (addr, server)
}

fn shake(listener: &TcpListener) -> TcpStream {
    let (mut socket, _) = listener.accept().unwrap();
    let mut head = String::new();
    let mut byte = [0];
    while !head.ends_with("\r\n\r\n") {
        socket.read_exact(&mut byte).unwrap();
        head.push(char::from(byte[0]));
    }
    let accept = accept_key(header(&head, "Sec-WebSocket-Key").unwrap());
    let answer =
        format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
    socket.write_all(answer.as_bytes()).unwrap();
    socket
}

fn group(addr: SocketAddr, members: usize) -> FanOut {
    FanOut::new(connect_all(addr, &vec!["/ws/chat/a/".to_owned(); members]).unwrap()).unwrap()
}

#[test]
fn a_member_that_misses_a_message_ends_the_run_with_an_error() {
    let mut published = 0;
    let (addr, server) = serve(3, move |sockets| {
        published += 1;
        let reached = if published == 3 { 2 } else { 3 };
        for socket in &mut sockets[..reached] {
            socket.write_all(&delivered()).unwrap();
        }
    });
    let mut group = group(addr, 3);
    group.check().unwrap();
    let error = group.run(&PLAN).unwrap_err().to_string();
    assert!(
        error.contains("1 of 3 members do not get message 3"),
        "{error}"
    );
    drop(group);
    server.join().unwrap();
}

#[test]
fn a_message_delivered_twice_ends_the_run_with_an_error() {
    let mut published = 0;
    let (addr, server) = serve(2, move |sockets| {
        published += 1;
        for socket in sockets.iter_mut() {
            socket.write_all(&delivered()).unwrap();
        }
        if published == 3 {
            sockets[1].write_all(&delivered()).unwrap();
        }
    });
    let mut group = group(addr, 2);
    let error = group.run(&PLAN).unwrap_err().to_string();
    assert!(
        error.contains("session 1 received 528 bytes where 396 were its due"),
        "{error}"
    );
    drop(group);
    server.join().unwrap();
}

#[test]
fn a_frame_with_another_text_fails_the_check() {
    let (addr, server) = serve(1, |sockets| {
        let mut frame = delivered();
        frame[40] ^= 1;
        sockets[0].write_all(&frame).unwrap();
    });
    let mut group = group(addr, 1);
    let error = group.check().unwrap_err().to_string();
    assert!(
        error.contains("another frame than was published"),
        "{error}"
    );
    drop(group);
    server.join().unwrap();
}

#[test]
fn a_round_trip_that_does_not_come_back_ends_the_run_with_an_error() {
    let mut published = 0;
    let (addr, server) = serve(1, move |sockets| {
        published += 1;
        if published <= 2 {
            sockets[0].write_all(&delivered()).unwrap();
        }
    });
    let mut trips = RoundTrip::new(connect_all(addr, &["/a".to_owned()]).unwrap()).unwrap();
    trips.check().unwrap();
    let error = trips.run(&PLAN).unwrap_err().to_string();
    assert!(
        error.contains("1 of 1 sessions do not get their message"),
        "{error}"
    );
    drop(trips);
    server.join().unwrap();
}

#[test]
fn a_session_that_is_closed_during_a_run_ends_it_with_an_error() {
    let (addr, server) = serve(2, |sockets| {
        sockets[0].write_all(&delivered()).unwrap();
        sockets[1].shutdown(std::net::Shutdown::Both).unwrap();
    });
    let mut group = group(addr, 2);
    let error = group.run(&PLAN).unwrap_err().to_string();
    assert!(error.contains("the server closed session 1"), "{error}");
    drop(group);
    server.join().unwrap();
}

#[test]
fn a_refusal_is_shown_with_its_response() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let server = std::thread::spawn(move || {
        let (mut socket, _) = listener.accept().unwrap();
        let mut request = [0; 1024];
        assert!(socket.read(&mut request).unwrap() > 0);
        socket
            .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            .unwrap();
    });
    let error = format!(
        "{:#}",
        connect_all(addr, &["/nowhere".to_owned()]).unwrap_err()
    );
    assert!(
        error.contains("/nowhere") && error.contains("404 Not Found"),
        "{error}"
    );
    server.join().unwrap();
}
