//! What a person sees when the server has started.

use std::fmt::Write as _;

use fanfare_gateway::Bind;

use crate::config::settings::Spoken;
use crate::config::{self, Backend, LogFormat, Settings};
use crate::output;

/// Prints the banner on standard output, unless logs are for machines. `addresses` are where the
/// server listens now, ports chosen.
pub(crate) fn print(settings: &Settings, addresses: &[Bind]) {
    if settings.log.format == LogFormat::Json {
        return;
    }
    output::print_aside("banner", text(settings, addresses));
}

fn text(settings: &Settings, addresses: &[Bind]) -> String {
    let mut lines = format!("\n  fanfare {}\n\n", env!("CARGO_PKG_VERSION"));
    let mut line = |label: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(lines, "  {label:<10} {value}");
    };
    for address in addresses {
        match address {
            Bind::Tcp(address) => line("listening", &format!("http://{address}")),
            Bind::Unix(path) => line("listening", &format!("unix:{}", path.display())),
        }
    }
    let (base, curl) = match addresses.first() {
        Some(Bind::Tcp(address)) => (
            format!("http://{}", config::reachable(*address)),
            "curl".to_owned(),
        ),
        Some(Bind::Unix(path)) => (
            "http://localhost".to_owned(),
            format!("curl --unix-socket {}", path.display()),
        ),
        None => return lines,
    };
    if matches!(addresses.first(), Some(Bind::Tcp(_))) {
        line("demo page", &format!("{base}/"));
    }
    line("layer", &layer(settings));
    let key = match settings.api.keys.first() {
        Some(key) if settings.api.made => {
            line(
                "API key",
                &format!("{key} (for this start only; api.keys keeps one)"),
            );
            key.as_str()
        }
        // A configured key is the operator's secret: standard output is no place for it.
        _ => "$FANFARE_API_KEY",
    };
    let quote = if settings.api.made { '\'' } else { '"' };
    let _ = write!(
        lines,
        "\n  push an event to everyone:\n\n  {curl} -X POST {base}/api/v1/broadcast \
         -H {quote}Authorization: Bearer {key}{quote} \
         -d '{{\"type\":\"chat.message\",\"message\":\"hello\"}}'\n\n"
    );
    lines
}

/// The layer in words.
fn layer(settings: &Settings) -> String {
    match settings.layer.backend {
        Backend::Memory => {
            "memory: events stay in this process (set layer.redis.hosts for a cluster)".to_owned()
        }
        Backend::Redis => {
            let hosts = settings.layer.host_labels.join(", ");
            let spoken = Spoken::of(&settings.layer.redis);
            let encrypted = if spoken.encrypted { ", encrypted" } else { "" };
            format!(
                "Redis at {hosts}, prefix \"{}\", {} in {}{encrypted}",
                settings.layer.prefix, spoken.format, spoken.serializer
            )
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Sources;

    fn banner(keys: &[&str], made: bool, address: Bind) -> String {
        let mut settings = config::load(&Sources::default()).expect("valid").settings;
        settings.api.keys = keys.iter().map(|key| (*key).to_owned()).collect();
        settings.api.made = made;
        text(&settings, &[address])
    }

    fn tcp(address: &str) -> Bind {
        Bind::Tcp(address.parse().expect(address))
    }

    #[test]
    fn the_command_to_paste_has_the_made_key_and_an_address_that_works() {
        let text = banner(&["k1"], true, tcp("0.0.0.0:8000"));
        let command = "curl -X POST http://127.0.0.1:8000/api/v1/broadcast \
            -H 'Authorization: Bearer k1' -d '{\"type\":\"chat.message\",\"message\":\"hello\"}'";
        assert!(text.lines().any(|line| line.trim() == command), "{text}");
        assert!(
            text.contains("demo page  http://127.0.0.1:8000/\n"),
            "{text}"
        );
        assert!(text.contains("memory"), "{text}");
    }

    #[test]
    fn a_configured_key_is_never_printed() {
        let text = banner(&["s3cret"], false, tcp("127.0.0.1:8000"));
        assert!(!text.contains("s3cret"), "{text}");
        assert!(
            text.contains("\"Authorization: Bearer $FANFARE_API_KEY\""),
            "{text}"
        );
    }

    #[test]
    fn a_socket_is_reached_through_its_path() {
        let text = banner(&["k1"], true, Bind::Unix("/run/f.sock".into()));
        assert!(
            text.contains("curl --unix-socket /run/f.sock -X POST http://localhost/"),
            "{text}"
        );
    }
}
