//! An error with its sources, in one line.

use std::error::Error;

/// The text of an error followed by the texts of its sources. A source whose text is already part
/// of the line is left out.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        let part = error.to_string();
        if !text.contains(&part) {
            text = format!("{text}: {part}");
        }
        source = error.source();
    }
    text
}
