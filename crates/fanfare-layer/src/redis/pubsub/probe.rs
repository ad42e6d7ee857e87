//! Whether a host still answers, and is still the master.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use redis::aio::MultiplexedConnection;
use tokio::sync::watch;
use tokio::time::sleep_until;

use super::host::PubSubHost;
use crate::redis::connection::pulse::Pulse;
use crate::redis::hosts::role::question;

/// The signs of life of both connections.
pub(super) struct Pulses {
    pub(super) publisher: Arc<Pulse>,
    pub(super) subscriber: Arc<Pulse>,
}

/// The last probe that came back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Echo {
    pub(super) number: u64,
    pub(super) arrived: Instant,
}

/// Sends probes through the bus, from the one connection to the other. Returns when one did not
/// come back in time and nothing else came either: a lagging connection is not a dead one.
pub(super) async fn probe(
    publisher: &MultiplexedConnection,
    mut echoes: watch::Receiver<Echo>,
    pulses: &Pulses,
    host: &PubSubHost,
) -> String {
    let mut publisher = publisher.clone();
    loop {
        let sent = Instant::now();
        let number = host.probes.fetch_add(1, Ordering::Relaxed) + 1;
        let taken = ask(&mut publisher, number, host);
        match pulses.publisher.wait(host.pace.timeout, taken).await {
            Some(Ok(())) => pulses.publisher.beat(),
            Some(Err(reason)) => return reason,
            None => return format!("a probe was not taken within {:?}", host.pace.timeout),
        }
        let echo = echoes.wait_for(|echo| echo.number == number);
        match pulses.subscriber.wait(host.pace.timeout, echo).await {
            Some(Ok(echo)) => {
                let round_trip = echo.arrived.saturating_duration_since(sent);
                host.metrics.round_trip.observe(round_trip.as_secs_f64());
            }
            Some(Err(_)) => return "the subscriber connection was closed".into(),
            None => return format!("a probe did not come back within {:?}", host.pace.timeout),
        }
        sleep_until((sent + host.pace.probe).into()).await;
    }
}

/// Sends a probe, and asks whether the server is still the master.
async fn ask(
    publisher: &mut MultiplexedConnection,
    number: u64,
    host: &PubSubHost,
) -> Result<(), String> {
    let mut commands = redis::Pipeline::new();
    commands.cmd("PUBLISH").arg(&host.keys.node).arg(number);
    commands.add_command(question());
    let answers = publisher.send_packed_commands(&commands, 0, 2).await;
    let not_taken = |error: &dyn fmt::Display| format!("a probe was not taken: {error}");
    match &answers.map_err(|error| not_taken(&error))?[..] {
        [redis::Value::ServerError(error), ..] => Err(not_taken(error)),
        [_, role] => host.judge(role, publisher).await,
        _ => Err("a probe was not answered".into()),
    }
}
