//! A node on the private Redis, and what it has counted.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;

use super::Bench;
use super::sides::{Backend, NODE_PREFIX};
use crate::redis_server::RedisServer;
use crate::server::{Program, Server};

const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// Starts a node on `redis`; `settings` come last.
///
/// # Errors
/// As [`Server::start`].
pub(super) fn start(
    bench: &Bench,
    redis: &RedisServer,
    backend: Backend,
    settings: Vec<String>,
) -> anyhow::Result<Server> {
    let mut all = vec![
        "layer.backend=redis".to_owned(),
        format!("layer.redis.hosts=[\"{}\"]", redis.url()),
        format!("layer.prefix={NODE_PREFIX}"),
        format!("layer.format={}", backend.name()),
    ];
    all.extend(settings);
    let program = Program::Member {
        path: bench.server.clone(),
        settings: all,
    };
    Server::start(&program, bench.cores)
}

/// What the layer of a node has counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(super) struct Counted {
    /// Messages that came in.
    pub(super) received: u64,
    /// Of them, those that were dropped before delivery.
    pub(super) dropped: u64,
}

impl Counted {
    /// Asks a node.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) fn of(server: &Server) -> anyhow::Result<Self> {
        let addr = server.addr();
        let mut stream = TcpStream::connect_timeout(&addr, ANSWER_LIMIT)?;
        stream.set_read_timeout(Some(ANSWER_LIMIT))?;
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {addr}\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut text = String::new();
        (stream.read_to_string(&mut text)).context("the node does not tell its metrics")?;
        Ok(Self::read(&text))
    }

    /// Since an earlier moment.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            received: self.received.saturating_sub(before.received),
            dropped: self.dropped.saturating_sub(before.dropped),
        }
    }

    fn read(text: &str) -> Self {
        let sum = |name: &str| {
            let values = text.lines().filter_map(|line| {
                let rest = line.strip_prefix(name)?;
                let exact = rest.starts_with(['{', ' ']);
                exact.then(|| rest.rsplit(' ').next()?.parse::<u64>().ok())?
            });
            values.sum()
        };
        Self {
            received: sum("fanfare_layer_received_total"),
            dropped: sum("fanfare_layer_dropped_total"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drops_of_all_causes_are_added_up() {
        let text = "# TYPE fanfare_layer_dropped_total counter\n\
            fanfare_layer_dropped_total{cause=\"expired\"} 2\n\
            fanfare_layer_dropped_total{cause=\"malformed\"} 3\n\
            fanfare_layer_received_total 40\nfanfare_layer_received_total_of_others 7\n";
        let counted = Counted::read(text);
        assert_eq!((counted.received, counted.dropped), (40, 5));
    }
}
