//! From checked types to checked values: the settings.

use fanfare_node::RateLimits;
use tracing_subscriber::EnvFilter;

use super::api_keys;
use super::auth;
use super::claimed;
use super::groups;
use super::layer;
use super::listen;
use super::problem::Problems;
use super::reader::Reader;
use super::routes;
use super::schema::one_of;
use super::settings::{Drain, Health, Http, Limits, Log, LogFormat, NodeSettings, Ping, Settings};
use super::tree::Table;

/// Builds the settings; what is wrong goes to `problems`, and then the settings mean nothing.
pub(super) fn settings(
    defaults: &Table,
    table: &Table,
    host_name: &str,
    problems: &mut Problems,
) -> Settings {
    let mut reader = Reader::new(defaults, table, problems);
    let mut settings = Settings {
        development: reader.flag("development"),
        http: http(&mut reader),
        api: api_keys::read(&mut reader),
        auth: auth::read(&mut reader),
        node: node(&mut reader, host_name),
        layer: layer::read(&mut reader),
        limits: limits(&mut reader),
        ping: Ping {
            interval: reader.milliseconds("ping.interval_ms"),
            timeout: reader.milliseconds("ping.timeout_ms"),
        },
        drain: Drain {
            grace: reader.milliseconds("drain.grace_ms"),
            window: reader.milliseconds("drain.window_ms"),
            close: reader.milliseconds("drain.close_ms"),
        },
        health: Health {
            layer_grace: reader.milliseconds("health.layer_grace_ms"),
        },
        log: log(&mut reader),
        routes: routes::read(&mut reader),
        groups: groups::read(&mut reader),
    };
    routes::settle_auth(&mut settings);
    claimed::check(&settings, &mut reader);
    auth::check(&settings, &mut reader);
    settings
}

fn http(reader: &mut Reader<'_>) -> Http {
    let workers = reader.number("http.workers");
    let line_bytes = reader.number("http.line_bytes");
    let head_bytes = reader.number("http.head_bytes");
    if line_bytes > head_bytes {
        reader.refuse("http.line_bytes", "must not be more than http.head_bytes");
    }
    Http {
        bind: listen::addresses(reader),
        workers,
        origins: listen::origins(reader),
        hosts: listen::hosts(reader),
        trusted_proxies: listen::trusted_proxies(reader),
        keep_alive: reader.milliseconds("http.keep_alive_ms"),
        write: reader.milliseconds("http.write_ms"),
        line_bytes,
        head_bytes,
        socket_mode: listen::socket_mode(reader),
    }
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
        sessions: reader.number("limits.sessions"),
        sessions_given: reader.is_given("limits.sessions"),
        http_connections: reader.number("limits.http_connections"),
        message_bytes: reader.number("limits.message_bytes"),
        frame_bytes: reader.number("limits.frame_bytes"),
        outbox_bytes: reader.number("limits.outbox_bytes"),
        outbox_frames: reader.number("limits.outbox_frames"),
        inbox_frames: reader.number("limits.inbox_frames"),
        inbox_bytes: reader.number("limits.inbox_bytes"),
        fan_out_bytes: reader.number("limits.fan_out_bytes"),
        handoff_frames: reader.number("limits.handoff_frames"),
        handoff_bytes: reader.number("limits.handoff_bytes"),
        memory_bytes: reader.number("limits.memory_bytes"),
        groups_per_session: reader.number("limits.groups_per_session"),
        rate: rate(reader),
        handshake: reader.milliseconds("limits.handshake_ms"),
        publish: reader.milliseconds("limits.publish_ms"),
        body_bytes: reader.number("limits.body_bytes"),
    }
}

fn rate(reader: &mut Reader<'_>) -> RateLimits {
    RateLimits {
        messages_per_second: reader.small("limits.rate.messages_per_second"),
        bytes_per_second: reader.small("limits.rate.bytes_per_second"),
        burst: reader.small("limits.rate.burst"),
        handshakes_per_second_per_address: reader
            .small("limits.rate.handshakes_per_second_per_address"),
        sessions_per_address: reader.number("limits.rate.sessions_per_address"),
    }
}

fn log(reader: &mut Reader<'_>) -> Log {
    let format = match reader.text("log.format") {
        "json" => LogFormat::Json,
        _ => LogFormat::Text,
    };
    let level = reader.text("log.level").to_owned();
    // A lone word that is no level would be read as the name of a module.
    let lone_word = level.bytes().all(|byte| byte.is_ascii_alphanumeric());
    if lone_word {
        let levels = ["error", "warn", "info", "debug", "trace", "off"];
        if !levels.contains(&level.as_str()) {
            reader.refuse("log.level", one_of(&levels));
        }
    } else if let Err(error) = EnvFilter::try_new(&level) {
        reader.refuse("log.level", format!("not log directives: {error}"));
    }
    Log {
        format,
        level,
        access: reader.flag("log.access"),
        audit: reader.flag("log.audit"),
    }
}
