//! Python's `fnmatch.translate`, for another kind of regular expression.

use std::fmt::Write as _;
use std::mem;

/// No character.
const NEVER: &str = r"[^\x{0}-\x{10FFFF}]";

/// The regular expression that matches the same whole names as `fnmatch.translate(pattern)`.
pub(super) fn translate(pattern: &str) -> String {
    let mut out = String::from("(?s)^");
    let mut rest = pattern.chars();
    let mut starred = false;
    while let Some(next) = rest.next() {
        // A row of stars is one star.
        if next == '*' && mem::replace(&mut starred, true) {
            continue;
        }
        starred = next == '*';
        match next {
            '*' => out.push_str(".*"),
            '?' => out.push('.'),
            '[' => match split_set(rest.as_str()) {
                Some((set, behind)) => {
                    out.push_str(&translate_set(set));
                    rest = behind.chars();
                }
                None => out.push_str(r"\["),
            },
            other => out.push_str(&regex_lite::escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    out.push('$');
    out
}

/// What is in the brackets and what is behind them; a `]` at the start is a member of the set.
fn split_set(text: &str) -> Option<(&str, &str)> {
    let body = text.strip_prefix('!').unwrap_or(text);
    let body = body.strip_prefix(']').unwrap_or(body);
    let end = text.len() - body.len() + body.find(']')?;
    Some((text.get(..end)?, text.get(end + 1..)?))
}

fn translate_set(set: &str) -> String {
    let chunks = chunks(set);
    let first = chunks.first().and_then(|chunk| chunk.first());
    // Asked of what is left without empty ranges, as Python does.
    let negated = first == Some(&'!');
    let mut members = String::new();
    let mut last: Option<char> = None;
    for (at, chunk) in chunks.iter().enumerate() {
        let from = usize::from(at == 0 && negated);
        if let (Some(low), Some(high)) = (last, chunk.first()) {
            write_range(&mut members, low, *high);
        }
        for member in chunk.iter().skip(from) {
            write_range(&mut members, *member, *member);
        }
        last = chunk.last().copied();
    }
    match (members.is_empty(), negated) {
        (true, true) => ".".into(),
        (true, false) => NEVER.into(),
        (false, true) => format!("[^{members}]"),
        (false, false) => format!("[{members}]"),
    }
}

/// The set in pieces: from the last character of each to the first of the next is a range.
fn chunks(set: &str) -> Vec<Vec<char>> {
    let set: Vec<char> = set.chars().collect();
    let mut chunks = Vec::new();
    let mut start = 0;
    // A hyphen at the start, or right behind a range, is one of the characters.
    let mut from = if set.first() == Some(&'!') { 2 } else { 1 };
    while let Some(hyphen) = (from..set.len()).find(|at| set.get(*at) == Some(&'-')) {
        chunks.push(set.get(start..hyphen).unwrap_or_default().to_vec());
        start = hyphen + 1;
        from = hyphen + 3;
    }
    match (set.get(start..).unwrap_or_default(), chunks.last_mut()) {
        ([], Some(last)) => last.push('-'),
        (rest, _) => chunks.push(rest.to_vec()),
    }
    join_empty_ranges(chunks)
}

/// A range that ends before it starts has no characters: its ends go, what is beside them stays.
fn join_empty_ranges(chunks: Vec<Vec<char>>) -> Vec<Vec<char>> {
    let mut joined: Vec<Vec<char>> = Vec::new();
    for mut chunk in chunks.into_iter().rev() {
        match (chunk.last(), joined.last_mut()) {
            (Some(low), Some(next)) if next.first().is_some_and(|high| low > high) => {
                chunk.pop();
                chunk.extend(next.iter().skip(1));
                *next = chunk;
            }
            _ => joined.push(chunk),
        }
    }
    joined.reverse();
    joined
}

fn write_range(out: &mut String, low: char, high: char) {
    // Writing to a String cannot fail.
    let _ = write!(
        out,
        r"\x{{{:x}}}-\x{{{:x}}}",
        u32::from(low),
        u32::from(high)
    );
}
