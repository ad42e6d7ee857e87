//! The fields of an event: their values are escaped and cut, whoever logs them.
//!
//! `tracing_subscriber` escapes some control characters of messages and errors, none of other
//! fields that are logged with `Display`, and cuts nothing.

use std::error::Error;
use std::fmt::{self, Debug, Display, Write as _};

use tracing::field::{Field, Visit};
use tracing_subscriber::field::{MakeVisitor, VisitFmt, VisitOutput};
use tracing_subscriber::fmt::format::Writer;

use crate::shown::{Cut, Escaping};

/// The sentence of an event.
pub(super) const MESSAGE: &str = "message";
/// What a panic's line says about where it came from. No stranger writes it, and every part counts.
const BACKTRACE: &str = "backtrace";

/// Whether a field is the program's own text, which is escaped and not cut.
pub(super) fn is_whole(field: &Field) -> bool {
    matches!(field.name(), MESSAGE | BACKTRACE)
}

/// A field's name without the mark of a keyword.
pub(super) fn name(field: &Field) -> &'static str {
    let name = field.name();
    name.strip_prefix("r#").unwrap_or(name)
}

/// An error with those behind it.
pub(super) struct Chain<'e>(pub(super) &'e (dyn Error + 'static));

impl Display for Chain<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        Display::fmt(self.0, out)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(out, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

/// Writes fields as text: `the message name="value" number=1`.
pub(super) struct TextFields;

pub(super) struct TextVisitor<'w> {
    out: Writer<'w>,
    is_first: bool,
    outcome: fmt::Result,
}

impl<'w> MakeVisitor<Writer<'w>> for TextFields {
    type Visitor = TextVisitor<'w>;

    fn make_visitor(&self, out: Writer<'w>) -> Self::Visitor {
        TextVisitor {
            out,
            is_first: true,
            outcome: Ok(()),
        }
    }
}

impl TextVisitor<'_> {
    fn put(&mut self, field: &Field, value: &dyn Display) {
        if self.outcome.is_ok() {
            self.outcome = self.write(field, value);
        }
    }

    fn write(&mut self, field: &Field, value: &dyn Display) -> fmt::Result {
        if !std::mem::take(&mut self.is_first) {
            self.out.write_char(' ')?;
        }
        if field.name() != MESSAGE {
            let name = name(field);
            match self.out.has_ansi_escapes() {
                true => write!(self.out, "\x1b[3m{name}\x1b[0m\x1b[2m=\x1b[0m")?,
                false => write!(self.out, "{name}=")?,
            }
        }
        write!(self.out, "{value}")
    }
}

impl Visit for TextVisitor<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        match is_whole(field) {
            true => self.put(field, &Whole(value)),
            false => self.put(field, &format_args!("\"{}\"", Cut(Quoted(value)))),
        }
    }

    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        self.put(field, &Cut(Chain(value)));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        let value = format_args!("{value:?}");
        match is_whole(field) {
            true => self.put(field, &Whole(value)),
            false => self.put(field, &Cut(value)),
        }
    }
}

/// A value that is escaped and not cut.
struct Whole<T>(T);

impl<T: Display> Display for Whole<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(Escaping(out), "{}", self.0)
    }
}

/// What stands between quotes.
struct Quoted<'t>(&'t str);

impl Display for Quoted<'_> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['"', '\\']) {
            let (plain, from) = rest.split_at(at);
            let (marked, after) = from.split_at(1);
            write!(out, "{plain}\\{marked}")?;
            rest = after;
        }
        out.write_str(rest)
    }
}

impl VisitOutput<fmt::Result> for TextVisitor<'_> {
    fn finish(self) -> fmt::Result {
        self.outcome
    }
}

impl VisitFmt for TextVisitor<'_> {
    fn writer(&mut self) -> &mut dyn fmt::Write {
        &mut self.out
    }
}
