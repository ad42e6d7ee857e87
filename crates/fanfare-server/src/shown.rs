//! Text that strangers wrote, as people may read it in a log and on a terminal.
//!
//! Control characters can rewrite a terminal or begin a line of their own, and controls of the
//! writing direction can swap what stands on a line. Both are shown escaped. Long texts are cut.

use std::fmt::{self, Write};

/// Characters that are shown of a value. The rest is counted.
pub(crate) const LONGEST: usize = 200;

/// Whether a character changes how the text around it is shown: C0, DEL, C1, the controls of the
/// writing direction (Unicode UAX #9), and the separators of lines and paragraphs.
pub(crate) fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}'
    )
}

/// Shows a value escaped and cut at [`LONGEST`] characters, with how many were left out.
pub(crate) struct Cut<T>(pub(crate) T);

impl<T: fmt::Display> fmt::Display for Cut<T> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut cutting = Cutting::new(Escaping(out), LONGEST);
        write!(cutting, "{}", self.0)?;
        cutting.finish()
    }
}

/// Writes hidden characters as Rust's `Debug` does: `\n`, `\u{202e}`.
pub(crate) struct Escaping<W>(pub(crate) W);

impl<W: Write> Write for Escaping<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(is_hidden) {
            let (plain, from) = rest.split_at(at);
            self.0.write_str(plain)?;
            let mut characters = from.chars();
            for hidden in characters.by_ref().take(1) {
                match hidden {
                    '\n' | '\r' | '\t' => write!(self.0, "{}", hidden.escape_default())?,
                    other => write!(self.0, "{}", other.escape_unicode())?,
                }
            }
            rest = characters.as_str();
        }
        self.0.write_str(rest)
    }
}

/// Passes on so many characters, and counts the others.
pub(crate) struct Cutting<W> {
    out: W,
    left: usize,
    more: usize,
}

impl<W: Write> Cutting<W> {
    pub(crate) fn new(out: W, longest: usize) -> Self {
        Self {
            out,
            left: longest,
            more: 0,
        }
    }

    /// Says how much was left out, if anything was.
    pub(crate) fn finish(mut self) -> fmt::Result {
        match self.more {
            0 => Ok(()),
            more => write!(self.out, "\u{2026} ({more} more characters)"),
        }
    }
}

impl<W: Write> Write for Cutting<W> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Bytes are never fewer than characters: most values take this way.
        if text.len() <= self.left {
            self.left -= text.chars().count();
            return self.out.write_str(text);
        }
        let end = text.char_indices().nth(self.left);
        let (shown, hidden) = text.split_at(end.map_or(text.len(), |(end, _)| end));
        self.left -= shown.chars().count();
        self.more += hidden.chars().count();
        self.out.write_str(shown)
    }
}

/// JSON with its hidden characters escaped. They stand in strings only, and JSON itself escapes
/// those below U+0020.
pub(crate) fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        if is_hidden(character) && character >= ' ' {
            // Writing to a String cannot fail.
            let _ = write!(escaped, "\\u{:04x}", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_could_change_the_line_is_escaped_and_letters_of_all_scripts_are_not() {
        let shown = |text: &str| Cut(text).to_string();
        assert_eq!(shown("a\r\nb\tc"), "a\\r\\nb\\tc");
        assert_eq!(shown("\0\u{1b}[2J"), "\\u{0}\\u{1b}[2J");
        assert_eq!(shown("\u{7f}\u{9b}31m\u{85}"), "\\u{7f}\\u{9b}31m\\u{85}");
        for control in "\u{61c}\u{200e}\u{200f}\u{202a}\u{202e}\u{2066}\u{2069}\u{2028}".chars() {
            let due = format!("x{}y", control.escape_unicode());
            assert_eq!(shown(&format!("x{control}y")), due);
        }
        for plain in ["", "café", "日本語", "עברית", "\"quoted\" \\ \u{a0}", "👩‍🚀"]
        {
            assert_eq!(shown(plain), plain);
        }
    }

    #[test]
    fn a_long_value_is_cut_and_says_how_much_is_missing() {
        let full = "é".repeat(LONGEST);
        assert_eq!(Cut(&full).to_string(), full);
        let cut = format!("{full}\u{2026} (3 more characters)");
        assert_eq!(Cut(format!("{full}\nab")).to_string(), cut);
        let pieces = format_args!("{full}{}{}", "\n", "ab").to_string();
        assert_eq!(Cut(pieces).to_string(), cut);
        // Escapes do not count: what a client sent does.
        let hidden = "\u{1b}".repeat(LONGEST);
        assert_eq!(Cut(&hidden).to_string(), "\\u{1b}".repeat(LONGEST));
    }

    #[test]
    fn json_stays_the_same_json() {
        let value = serde_json::json!({ "a\u{7f}": "\u{9b}\u{202e}\u{2028}é\n\"" });
        let text = json(&value.to_string());
        assert!(!text.contains(is_hidden), "{text:?}");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&text).unwrap(),
            value
        );
    }
}
