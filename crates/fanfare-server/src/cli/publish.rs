//! `fanfare publish`: straight to Redis, or through the HTTP API of a server.

use std::io::Read as _;
use std::sync::Arc;

use anyhow::Context as _;
use fanfare_protocol::event_rules;
use fanfare_protocol::json::{self, ParseError};
use fanfare_protocol::{ChannelName, Envelope, Event, GroupName, Naming, Target};

use super::api::Client;
use super::usage::Publish;
use super::{Failed, redis};
use crate::config::{Backend, Settings};
use crate::logging;

/// Publishes one event and waits until it is taken.
pub(super) async fn run(settings: &Settings, arguments: Publish) -> Result<(), Failed> {
    let text = match arguments.json.as_str() {
        "-" => {
            let mut text = String::new();
            std::io::stdin()
                .read_to_string(&mut text)
                .context("reading standard input")?;
            text
        }
        text => text.to_owned(),
    };
    let event = parse(&text)?;
    let naming = match settings.layer.backend {
        Backend::Redis => {
            let format = settings.layer.redis.wire_format();
            let format = format.context("the wire format")?;
            format.naming(&settings.layer.prefix)
        }
        Backend::Memory => Naming::plain(&settings.layer.prefix),
    };
    let target = target(&arguments, &naming)?;
    if settings.layer.backend == Backend::Redis && arguments.api.url.is_none() {
        let _logging = logging::init_for_command().context("starting the log")?;
        let exclude = arguments.exclude.iter().map(|name| naming.channel(name));
        let exclude = exclude.collect::<Result<_, _>>().map_err(Failed::usage)?;
        return to_layer(settings, target, event, exclude).await;
    }
    let client = Client::new(
        settings,
        arguments.api.url.as_deref(),
        arguments.api.key.as_deref(),
    )?;
    let exclude: Vec<_> = arguments
        .exclude
        .iter()
        .map(|name| ("exclude", name.as_str()))
        .collect();
    client.post(&path(&arguments), &exclude, text).await
}

fn parse(text: &str) -> Result<Event, Failed> {
    let event = json::parse_event(text.as_bytes()).map_err(|error| match error {
        ParseError::Syntax {
            message,
            line,
            column,
        } => Failed::usage(format_args!(
            "not JSON at line {line}, column {}: {message}",
            column.max(1)
        )),
        other => Failed::usage(other),
    })?;
    event_rules::check(&event).map_err(Failed::usage)?;
    Ok(event)
}

fn target(arguments: &Publish, naming: &Naming) -> Result<Target, Failed> {
    let target = match (&arguments.group, &arguments.channel, &arguments.user) {
        (Some(group), _, _) => GroupName::parse(group).map(Target::Group),
        (_, Some(channel), _) => naming.channel(channel).map(Target::Channel),
        (_, _, Some(user)) => GroupName::user(user).map(Target::Group),
        _ => Ok(Target::Group(GroupName::everyone())),
    };
    target.map_err(Failed::usage)
}

async fn to_layer(
    settings: &Settings,
    target: Target,
    event: Event,
    exclude: Vec<ChannelName>,
) -> Result<(), Failed> {
    let mut envelope = Envelope::new(event);
    envelope.exclude = exclude;
    let layer = redis::connect(settings).await?;
    let taken = layer.publish(target, Arc::new(envelope)).confirmed();
    let taken = tokio::time::timeout(redis::DEADLINE, taken).await;
    // Published is published: a goodbye that takes too long changes nothing.
    redis::leave(&*layer).await;
    taken
        .map_err(|_| redis::silent(settings))?
        .map_err(redis::unpublished)
}

fn path(arguments: &Publish) -> String {
    let encode = |name: &str| {
        percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
    };
    match (&arguments.group, &arguments.channel, &arguments.user) {
        (Some(group), _, _) => format!("/api/v1/groups/{}/events", encode(group)),
        (_, Some(channel), _) => format!("/api/v1/channels/{}/events", encode(channel)),
        (_, _, Some(user)) => format!("/api/v1/users/{}/events", encode(user)),
        _ => "/api/v1/broadcast".to_owned(),
    }
}
