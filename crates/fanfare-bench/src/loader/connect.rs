//! Opening many sessions.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use socket2::SockRef;

use super::Tally;
use crate::handshake::{CLIENT_KEY, accept_key, head_end, header};
use crate::pause::pause;

/// Handshakes under way at once: the server works on them together, and its backlog holds them.
const BATCH: usize = 128;
/// Sessions that are open at once where they are opened to be closed.
const WAVE: usize = 250;
/// What the server has for the end of the last wave.
const LAST_END: Duration = Duration::from_millis(50);
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const MAX_HEAD: usize = 8 * 1024;

/// Opens one session for each path and answers their sockets, nonblocking, in the same order.
///
/// # Errors
/// A session is refused or not answered within ten seconds; the message has the response.
pub(crate) fn connect_all(addr: SocketAddr, paths: &[String]) -> anyhow::Result<Vec<TcpStream>> {
    let accept = accept_key(CLIENT_KEY);
    let mut sessions = Vec::with_capacity(paths.len());
    for batch in paths.chunks(BATCH) {
        let asked = batch
            .iter()
            .map(|path| ask(addr, path))
            .collect::<anyhow::Result<Vec<_>>>()
            .with_context(|| format!("session {} of {}", sessions.len(), paths.len()))?;
        for (stream, path) in asked.into_iter().zip(batch) {
            read_answer(&stream, &accept)
                .with_context(|| format!("session {} of {path}", sessions.len()))?;
            stream.set_nonblocking(true)?;
            sessions.push(stream);
        }
    }
    Ok(sessions)
}

/// Opens one session for each path and closes it, in waves; ends when the server has had the time to
/// notice the last end.
///
/// # Errors
/// As [`connect_all`].
pub(crate) fn open_and_close(addr: SocketAddr, paths: &[String]) -> anyhow::Result<Tally> {
    let start = Instant::now();
    for wave in paths.chunks(WAVE) {
        drop(connect_all(addr, wave)?);
    }
    pause(LAST_END);
    Ok(Tally {
        published: 0,
        delivered: paths.len() as u64,
        took_s: start.elapsed().as_secs_f64(),
    })
}

fn ask(addr: SocketAddr, path: &str) -> anyhow::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&addr, ANSWER_LIMIT).context("cannot connect")?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(ANSWER_LIMIT))?;
    // Thousands of sockets a run would use up the ports by waiting in TIME_WAIT.
    SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: {addr}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {CLIENT_KEY}\r\n\r\n"
    );
    stream.write_all(request.as_bytes())?;
    Ok(stream)
}

fn read_answer(mut stream: &TcpStream, accept: &str) -> anyhow::Result<()> {
    let mut answer = Vec::new();
    let mut chunk = [0; 2048];
    let end = loop {
        let read = match stream.read(&mut chunk) {
            Ok(0) => bail!("closed during the handshake"),
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                bail!(
                    "no answer to the handshake within {} s",
                    ANSWER_LIMIT.as_secs()
                )
            }
            Err(error) => return Err(error.into()),
        };
        answer.extend_from_slice(chunk.get(..read).unwrap_or_default());
        if let Some(end) = head_end(&answer) {
            break end;
        }
        if answer.len() > MAX_HEAD {
            bail!("endless response head");
        }
    };
    let head = String::from_utf8_lossy(&answer);
    if !head.starts_with("HTTP/1.1 101 ") {
        bail!("refused: {}", head.trim());
    }
    if header(&head, "Sec-WebSocket-Accept") != Some(accept) {
        bail!("wrong Sec-WebSocket-Accept: {}", head.trim());
    }
    if answer.len() > end {
        bail!("frames before anything was published");
    }
    Ok(())
}
