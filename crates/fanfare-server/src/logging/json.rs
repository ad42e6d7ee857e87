//! A log of JSON: one object a line, with the fields of the event beside its time, level and target.

use std::error::Error;
use std::fmt::{self, Debug, Write as _};
use std::io;

use serde::Serialize;
use serde::ser::{SerializeMap as _, Serializer as _};
use serde_json::ser::{Compound, Formatter};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime as _, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

use super::fields::{Chain, is_whole, name};
use crate::shown::{self, Cutting, LONGEST};

/// The format. It shows no spans, and the server has none.
pub(super) struct JsonLines;

impl<S, F> FormatEvent<S, F> for JsonLines
where
    S: Subscriber + for<'s> LookupSpan<'s>,
    F: for<'w> FormatFields<'w> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, F>,
        mut out: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = Vec::new();
        object(&mut line, event).map_err(|_| fmt::Error)?;
        let line = std::str::from_utf8(&line).map_err(|_| fmt::Error)?;
        writeln!(out, "{line}")
    }
}

fn object(line: &mut Vec<u8>, event: &Event<'_>) -> Result<(), serde_json::Error> {
    let mut time = String::new();
    // Without a clock a line has no time; it is a line all the same.
    let _ = SystemTime.format_time(&mut Writer::new(&mut time));
    let metadata = event.metadata();
    let mut serializer = serde_json::Serializer::with_formatter(line, Escaped);
    let mut visitor = JsonVisitor {
        object: serializer.serialize_map(None)?,
        outcome: Ok(()),
    };
    visitor.object.serialize_entry("timestamp", &time)?;
    let level = metadata.level().as_str();
    visitor.object.serialize_entry("level", level)?;
    event.record(&mut visitor);
    visitor.outcome?;
    let mut object = visitor.object;
    object.serialize_entry("target", metadata.target())?;
    object.end()
}

struct JsonVisitor<'l> {
    object: Compound<'l, &'l mut Vec<u8>, Escaped>,
    outcome: Result<(), serde_json::Error>,
}

impl JsonVisitor<'_> {
    fn put(&mut self, field: &Field, value: &(impl Serialize + ?Sized)) {
        if self.outcome.is_ok() {
            self.outcome = self.object.serialize_entry(name(field), value);
        }
    }

    fn put_text(&mut self, field: &Field, value: fmt::Arguments<'_>) {
        if is_whole(field) {
            return self.put(field, &value);
        }
        let mut text = String::new();
        let mut cutting = Cutting::new(&mut text, LONGEST);
        // What fails to show itself is shown as far as it came.
        let _ = cutting.write_fmt(value);
        let _ = cutting.finish();
        self.put(field, &text);
    }
}

impl Visit for JsonVisitor<'_> {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, &value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, &value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, &value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, &value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put_text(field, format_args!("{value}"));
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put_text(field, format_args!("{}", Chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.put_text(field, format_args!("{value:?}"));
    }
}

/// Compact JSON whose strings have no character that changes how the line is shown.
struct Escaped;

impl Formatter for Escaped {
    fn write_string_fragment<W>(&mut self, writer: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + io::Write,
    {
        match fragment.contains(shown::is_hidden) {
            true => writer.write_all(shown::json(fragment).as_bytes()),
            false => writer.write_all(fragment.as_bytes()),
        }
    }
}
