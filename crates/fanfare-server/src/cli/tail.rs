//! `fanfare tail`: the events of a group, as they come.

use std::io::Write as _;

use anyhow::Context as _;
use bytes::BytesMut;
use fanfare_layer::Delivery;
use fanfare_protocol::{Event, GroupName, Target, Value, json};
use futures_util::StreamExt as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failed, redis};
use crate::config::{Backend, Settings};
use crate::logging;

/// Prints until SIGINT or SIGTERM, or until nobody reads any more.
pub(super) async fn run(settings: &Settings, group: &str) -> Result<(), Failed> {
    let group = GroupName::parse(group).map_err(Failed::usage)?;
    if settings.layer.backend == Backend::Memory {
        return Err(Failed::unavailable(
            "the memory layer carries events inside the server's own process only, so there is \
             nothing to listen to from here; tail needs Redis (layer.redis.hosts)",
        ));
    }
    logging::init_for_command().context("starting the log")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("waiting for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let layer = redis::connect(settings).await?;
    let targets = vec![Target::Group(group.clone())];
    let joined = tokio::time::timeout(redis::DEADLINE, layer.subscribe(targets)).await;
    joined
        .map_err(|_| redis::silent(settings))?
        .map_err(Failed::unavailable)?;
    let mut stream = layer.stream();
    loop {
        let batch = tokio::select! {
            batch = stream.next() => batch,
            _ = interrupt.recv() => None,
            _ = terminate.recv() => None,
        };
        match batch {
            // A closed pipe is how `fanfare tail | head` ends.
            Some(batch) if print(&group, &batch).is_ok() => {}
            _ => break,
        }
    }
    // The connections end with the process anyway: do not wait long to say goodbye.
    if tokio::time::timeout(redis::DEADLINE, layer.close())
        .await
        .is_err()
    {
        tracing::warn!("the layer did not take the subscription back in time");
    }
    Ok(())
}

fn print(group: &GroupName, batch: &[Delivery]) -> std::io::Result<()> {
    let mut lines = BytesMut::new();
    for delivery in batch {
        if matches!(&delivery.target, Target::Group(target) if target == group) {
            write_line(&delivery.envelope.event, &mut lines);
        }
    }
    let mut out = std::io::stdout().lock();
    out.write_all(&lines)?;
    out.flush()
}

/// The whole event, its `type` too.
fn write_line(event: &Event, out: &mut BytesMut) {
    json::write_value(&Value::Map(event.fields().to_vec()), out);
    out.extend_from_slice(b"\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_with_its_type() {
        let mut line = BytesMut::new();
        write_line(
            &Event::new("chat.message").with("message", "a\nb"),
            &mut line,
        );
        assert_eq!(
            &line[..],
            b"{\"type\":\"chat.message\",\"message\":\"a\\nb\"}\n"
        );
    }
}
