//! `fanfare tail`: the events of a group, as they come.

use std::io;

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use fanfare_layer::{ChannelLayer, Delivery, Subscription};
use fanfare_protocol::{Event, GroupName, Target, Value, json};
use futures_util::StreamExt as _;
use tokio::signal::unix::{SignalKind, signal};

use super::{Failed, redis};
use crate::config::{Backend, Settings};
use crate::{logging, output, shown};

/// Prints until SIGINT or SIGTERM, or until nobody reads any more.
pub(super) async fn run(settings: &Settings, group: &str) -> Result<(), Failed> {
    let group = GroupName::parse(group).map_err(Failed::usage)?;
    if settings.layer.backend == Backend::Memory {
        return Err(Failed::unavailable(
            "tail needs Redis (layer.redis.hosts): the memory layer carries events inside the \
             process of the server only, where this command cannot read them",
        ));
    }
    let _logging = logging::init_for_command().context("starting the log")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("waiting for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("waiting for SIGTERM")?;
    let layer = redis::connect(settings).await?;
    let interrupted = async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    let told = tokio::select! {
        told = follow(settings, &*layer, &group) => told,
        () = interrupted => Ok(()),
    };
    redis::leave(&*layer).await;
    told
}

/// Prints until nobody reads any more, or the layer ends.
async fn follow(
    settings: &Settings,
    layer: &dyn ChannelLayer,
    group: &GroupName,
) -> Result<(), Failed> {
    let wanted = vec![Subscription::Group(group.clone())];
    let joined = tokio::time::timeout(redis::DEADLINE, layer.subscribe(wanted)).await;
    joined
        .map_err(|_| redis::silent(settings))?
        .map_err(Failed::unavailable)?;
    let mut stream = layer.stream();
    while let Some(batch) = stream.next().await {
        let lines = lines(group, &batch);
        // On a thread of its own: a reader that is stuck must not hold up the end of this command.
        let printed = tokio::task::spawn_blocking(move || output::write_stdout(&lines));
        match printed.await.context("the printing thread failed")? {
            // A closed pipe is how `fanfare tail | head` ends.
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => break,
            printed => printed.context("writing to standard output")?,
        }
    }
    Ok(())
}

fn lines(group: &GroupName, batch: &[Delivery]) -> Bytes {
    let mut lines = BytesMut::new();
    for delivery in batch {
        if matches!(&delivery.target, Target::Group(target) if target == group) {
            write_line(&delivery.envelope.event, &mut lines);
        }
    }
    lines.freeze()
}

/// The whole event, its `type` too. Nothing in it can rewrite the terminal.
fn write_line(event: &Event, out: &mut BytesMut) {
    let mut line = BytesMut::new();
    json::write_value(&Value::Map(event.fields().to_vec()), &mut line);
    let line = String::from_utf8_lossy(&line);
    out.extend_from_slice(shown::json(&line).as_bytes());
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

    #[test]
    fn an_event_cannot_rewrite_the_terminal() {
        let mut line = BytesMut::new();
        let event = Event::new("x").with("m", "\u{1b}[2J\u{7f}\u{9b}2J\u{202e}é");
        write_line(&event, &mut line);
        let due = "{\"type\":\"x\",\"m\":\"\\u001b[2J\\u007f\\u009b2J\\u202eé\"}\n";
        assert_eq!(&line[..], due.as_bytes());
    }
}
