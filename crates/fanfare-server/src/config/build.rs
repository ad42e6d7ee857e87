//! From checked types to checked values: the settings.

use tracing_subscriber::EnvFilter;

use super::auth;
use super::layer;
use super::listen;
use super::problem::Problems;
use super::reader::Reader;
use super::routes;
use super::settings::{
    Api, Drain, Health, Http, Limits, Log, LogFormat, NodeSettings, Ping, Settings,
};
use super::tree::Table;

const GIGABYTE: i64 = 1 << 30;
/// Session ids have one byte for the worker.
const MOST_WORKERS: i64 = 64;
const MOST_SESSIONS: i64 = 10_000_000;
const MOST_QUEUED: i64 = 1_000_000;

/// Builds the settings; what is wrong goes to `problems`, and then the settings mean nothing.
pub(super) fn settings(
    schema: &Table,
    table: &Table,
    host_name: &str,
    problems: &mut Problems,
) -> Settings {
    let mut reader = Reader::new(schema, table, problems);
    let mut settings = Settings {
        development: reader.flag("development"),
        http: http(&mut reader),
        api: api(&mut reader),
        auth: auth::read(&mut reader),
        node: node(&mut reader, host_name),
        layer: layer::read(&mut reader),
        limits: limits(&mut reader),
        ping: Ping {
            interval: reader.milliseconds("ping.interval_ms", 0),
            timeout: reader.milliseconds("ping.timeout_ms", 1),
        },
        drain: Drain {
            grace: reader.milliseconds("drain.grace_ms", 0),
            window: reader.milliseconds("drain.window_ms", 0),
            close: reader.milliseconds("drain.close_ms", 0),
        },
        health: Health {
            layer_grace: reader.milliseconds("health.layer_grace_ms", 0),
        },
        log: log(&mut reader),
        routes: routes::read(&mut reader),
    };
    routes::settle_auth(&mut settings);
    routes::check_users(&settings, &mut reader);
    auth::check(&settings, &mut reader);
    settings
}

fn http(reader: &mut Reader<'_>) -> Http {
    let workers = reader.number("http.workers", 0, MOST_WORKERS);
    Http {
        bind: listen::addresses(reader),
        workers,
        origins: listen::origins(reader),
        trusted_proxies: listen::trusted_proxies(reader),
    }
}

fn api(reader: &mut Reader<'_>) -> Api {
    let mut keys = Vec::new();
    for (key, node) in reader.entries("api.keys") {
        match node.text() {
            Some("") => reader
                .problems
                .push(&key, node, "is empty, so everyone would know it"),
            // What cannot stand in a header could never be sent.
            Some(text) if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                reader
                    .problems
                    .push(&key, node, "may only hold visible ASCII without spaces");
            }
            Some(text) => keys.push(text.to_owned()),
            None => {}
        }
    }
    Api { keys, made: false }
}

fn node(reader: &mut Reader<'_>, host_name: &str) -> NodeSettings {
    const LONGEST: usize = 200;
    let name = reader.text("node.name").to_owned();
    if name.chars().any(char::is_control) || name.len() > LONGEST {
        reader.refuse(
            "node.name",
            format!("must be one line of at most {LONGEST} bytes"),
        );
    }
    NodeSettings {
        name: if name.is_empty() {
            host_name.to_owned()
        } else {
            name
        },
    }
}

fn limits(reader: &mut Reader<'_>) -> Limits {
    Limits {
        sessions: reader.number("limits.sessions", 1, MOST_SESSIONS),
        sessions_given: reader.is_given("limits.sessions"),
        message_bytes: reader.number("limits.message_bytes", 1, GIGABYTE),
        frame_bytes: reader.number("limits.frame_bytes", 1, GIGABYTE),
        outbox_bytes: reader.number("limits.outbox_bytes", 1, GIGABYTE),
        outbox_frames: reader.number("limits.outbox_frames", 1, MOST_QUEUED),
        inbox_frames: reader.number("limits.inbox_frames", 1, MOST_QUEUED),
        groups_per_session: reader.number("limits.groups_per_session", 1, MOST_QUEUED),
        handshake: reader.milliseconds("limits.handshake_ms", 1),
        body_bytes: reader.number("limits.body_bytes", 1, GIGABYTE),
    }
}

fn log(reader: &mut Reader<'_>) -> Log {
    let format = match reader.choice("log.format", &["text", "json"]) {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let level = reader.text("log.level").to_owned();
    // A lone word that is no level would be read as the name of a module.
    let lone_word = level.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if lone_word {
        reader.choice(
            "log.level",
            &["error", "warn", "info", "debug", "trace", "off"],
        );
    } else if let Err(error) = EnvFilter::try_new(&level) {
        reader.refuse("log.level", format!("no log directives: {error}"));
    }
    Log {
        format,
        level,
        access: reader.flag("log.access"),
    }
}
