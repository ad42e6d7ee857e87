//! Templates of paths and of group names: text with `{name}` and `{name:pattern}` in it.
//!
//! Only the syntax, which routes in Rust and in the server's configuration share. They decide which
//! patterns are allowed, and what a parameter without a pattern matches.

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// Text that is used as it is.
    Literal(String),
    /// `{name}` or `{name:pattern}`.
    Parameter {
        /// A letter or `_`, then letters, digits or `_`.
        name: String,
        /// As it stands there, not looked at.
        pattern: Option<String>,
    },
}

impl Part {
    /// The name of a parameter.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter { name, .. } => Some(name),
        }
    }
}

/// Why a text is not a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SyntaxError {
    /// A `{` without its `}`, or the reverse.
    #[error("a brace is unbalanced")]
    Unbalanced,
    /// A name that a parameter cannot have.
    #[error("the parameter {0:?} must be a letter or _, then letters, digits or _")]
    Name(String),
}

/// The pieces of a template. A pattern may have balanced or escaped braces.
///
/// ```
/// use fanfare_web::template::{Part, parts};
///
/// let room = parts("chat_{room}").unwrap();
/// assert_eq!(room.len(), 2);
/// assert_eq!(room[0], Part::Literal("chat_".to_owned()));
/// ```
///
/// # Errors
/// [`SyntaxError`].
pub fn parts(template: &str) -> Result<Vec<Part>, SyntaxError> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        if literal.contains('}') {
            return Err(SyntaxError::Unbalanced);
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        let (inside, following) = closing_brace(after)
            .and_then(|end| Some((after.get(..end)?, after.get(end + 1..)?)))
            .ok_or(SyntaxError::Unbalanced)?;
        parts.push(parameter(inside)?);
        rest = following;
    }
    if rest.contains('}') {
        return Err(SyntaxError::Unbalanced);
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    Ok(parts)
}

fn parameter(inside: &str) -> Result<Part, SyntaxError> {
    let (name, pattern) = match inside.split_once(':') {
        Some((name, pattern)) => (name, Some(pattern.to_owned())),
        None => (inside, None),
    };
    let name = name.to_owned();
    if is_name(&name) {
        Ok(Part::Parameter { name, pattern })
    } else {
        Err(SyntaxError::Name(name))
    }
}

/// Where the `}` stands that closes a parameter.
fn closing_brace(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    let mut escaped = false;
    text.bytes().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'{' => depth += 1,
            b'}' if depth == 0 => return true,
            b'}' => depth -= 1,
            _ => {}
        }
        false
    })
}

/// Whether a text can be the name of a parameter.
pub fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    bytes.next().is_some_and(starts)
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
