//! The lines of the log.

use std::sync::{Arc, Mutex};

use super::*;

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0
            .lock()
            .expect("not poisoned")
            .extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The log of what `log` logs, without times.
fn lines(format: LogFormat, level: &str, access: bool, log: impl FnOnce()) -> String {
    let lines = Lines::default();
    let writer = lines.clone();
    let settings = Log {
        format,
        level: level.to_owned(),
        access,
        audit: false,
    };
    let filter = filter(&settings).expect("a filter");
    let subscriber = subscriber(format, filter, move || writer.clone(), false);
    tracing::dispatcher::with_default(&subscriber, log);
    let bytes = lines.0.lock().expect("not poisoned").clone();
    String::from_utf8(bytes).expect("UTF-8")
}

fn logged(level: &str, access: bool) -> String {
    lines(LogFormat::Text, level, access, || {
        tracing::info!(target: ACCESS_TARGET, "WebSocket CONNECT /ws/ [127.0.0.1:1]");
        tracing::info!(target: "fanfare::other", "something else");
        tracing::info!(target: "actix_server::builder", "starting 2 workers");
        tracing::warn!(target: "actix_server::accept", "trouble");
    })
}

#[test]
fn an_access_line_is_the_whole_message() {
    let text = logged("info", true);
    assert!(
        text.contains("fanfare::access: WebSocket CONNECT /ws/ [127.0.0.1:1]\n"),
        "{text}"
    );
}

#[test]
fn access_lines_can_be_turned_off_alone() {
    let text = logged("info,fanfare::access=info", false);
    assert!(!text.contains("CONNECT"), "{text}");
    assert!(text.contains("something else"), "{text}");
}

#[test]
fn the_level_holds_for_everything() {
    assert!(!logged("warn", true).contains("INFO"));
    assert_eq!(logged("error", true), "");
    assert_eq!(logged("off", true), "");
}

#[test]
fn the_listeners_own_lines_are_shown_from_warnings_on_unless_asked_for() {
    for level in ["info", "debug"] {
        let text = logged(level, true);
        assert!(text.contains("trouble"), "{text}");
        assert!(!text.contains("starting 2 workers"), "{text}");
    }
    for level in ["info,fanfare=debug", "warn,actix_server=info"] {
        let text = logged(level, true);
        assert!(text.contains("starting 2 workers"), "{text}");
    }
}

/// What a client may send: a new line of the log, an order to the terminal, swapped text.
const EVIL: &str = "a\n2026 ERROR b\u{1b}[2J\u{7f}\u{9b}31m\u{202e}cd\u{2066}";

/// Logs it as a text, with `Display`, with `Debug`, as an error, and inside of a message.
fn log_evil() {
    let error = io::Error::other(EVIL);
    let error: &(dyn std::error::Error + 'static) = &error;
    tracing::warn!(text = EVIL, display = %EVIL, debug = ?EVIL, error, "message {EVIL}");
}

#[test]
fn no_field_and_no_message_can_change_the_line_in_text() {
    let text = lines(LogFormat::Text, "info", true, log_evil);
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    let line = text.trim_end_matches('\n');
    assert!(!line.contains(crate::shown::is_hidden), "{line:?}");
    let escaped = "a\\n2026 ERROR b\\u{1b}[2J\\u{7f}\\u{9b}31m\\u{202e}cd\\u{2066}";
    for due in [
        format!(": message {escaped} "),
        format!(" text=\"{escaped}\" "),
        format!(" display={escaped} "),
        format!(" debug=\"{escaped}\" "),
        format!(" error={escaped}"),
    ] {
        assert!(line.contains(&due), "{due}: {line}");
    }
}

#[test]
fn no_field_and_no_message_can_change_the_line_in_json() {
    let text = lines(LogFormat::Json, "info", true, log_evil);
    assert_eq!(text.matches('\n').count(), 1, "{text:?}");
    let line = text.trim_end_matches('\n');
    assert!(!line.contains(crate::shown::is_hidden), "{line:?}");
    let object: serde_json::Value = serde_json::from_str(line).expect("JSON");
    assert_eq!(object["message"], format!("message {EVIL}"));
    for field in ["text", "display", "error"] {
        assert_eq!(object[field], EVIL, "{field}");
    }
    assert_eq!(object["debug"], format!("{EVIL:?}"));
}

#[test]
fn long_values_are_cut_with_what_is_missing_and_messages_are_not() {
    let long = "é".repeat(60_000);
    let log = || {
        let error = io::Error::other(&*long);
        let error: &(dyn std::error::Error + 'static) = &error;
        tracing::warn!(text = &*long, display = %long, debug = ?long, error, "all of {long}");
    };
    let missing = format!("{}\u{2026} (59800 more characters)", "é".repeat(200));
    let text = lines(LogFormat::Text, "info", true, log);
    assert_eq!(text.matches(&missing).count(), 3, "{}", text.len());
    assert!(text.contains(&format!("all of {long} ")), "{}", text.len());
    let object: serde_json::Value =
        serde_json::from_str(&lines(LogFormat::Json, "info", true, log)).expect("JSON");
    for field in ["text", "display", "error"] {
        assert_eq!(object[field], missing, "{field}");
    }
    let debug = object["debug"].as_str().expect("a text");
    assert!(debug.starts_with("\"é") && debug.ends_with("(59802 more characters)"));
    assert_eq!(object["message"], format!("all of {long}"));
}

#[test]
fn a_line_of_json_has_time_level_fields_and_target() {
    let log = || tracing::info!(target: "there", r#type = "x\"y", n = 7, yes = true, f = 1.5, "it");
    let text = lines(LogFormat::Json, "info", true, log);
    let (_, rest) = text.split_once(',').expect("a time");
    assert!(text.starts_with("{\"timestamp\":\"20"), "{text}");
    let due = "\"level\":\"INFO\",\"message\":\"it\",\"type\":\"x\\\"y\",\"n\":7,\"yes\":true,\
               \"f\":1.5,\"target\":\"there\"}\n";
    assert_eq!(rest, due);
}

#[test]
fn a_line_of_text_has_its_fields_behind_the_message() {
    let log = || tracing::info!(r#type = "x\"y", n = 7, path = %"/a", "it");
    let text = lines(LogFormat::Text, "info", true, log);
    assert!(
        text.ends_with(": it type=\"x\\\"y\" n=7 path=/a\n"),
        "{text}"
    );
}
