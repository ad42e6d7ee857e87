//! The syntax that templates of paths and groups share.

use super::error::TemplateError;

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Part {
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
    /// actix-web counts braces in patterns, the escaped ones too.
    fn has_escaped_brace(&self) -> bool {
        match self {
            Self::Literal(_) | Self::Parameter { pattern: None, .. } => false,
            Self::Parameter {
                pattern: Some(pattern),
                ..
            } => pattern.contains("\\{") || pattern.contains("\\}"),
        }
    }

    /// The name of a parameter.
    pub(super) fn parameter(&self) -> Option<&str> {
        match self {
            Self::Literal(_) => None,
            Self::Parameter { name, .. } => Some(name),
        }
    }
}

/// The pieces of a template. A pattern may have balanced braces.
pub(super) fn parts(template: &str) -> Result<Vec<Part>, TemplateError> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((literal, after)) = rest.split_once('{') {
        if literal.contains('}') {
            return Err(TemplateError::Unbalanced(template.to_owned()));
        }
        if !literal.is_empty() {
            parts.push(Part::Literal(literal.to_owned()));
        }
        let (inside, following) = closing_brace(after)
            .and_then(|end| Some((after.get(..end)?, after.get(end + 1..)?)))
            .ok_or_else(|| TemplateError::Unbalanced(template.to_owned()))?;
        let part = parameter(inside)?;
        if part.has_escaped_brace() {
            return Err(TemplateError::Unbalanced(template.to_owned()));
        }
        parts.push(part);
        rest = following;
    }
    if rest.contains('}') {
        return Err(TemplateError::Unbalanced(template.to_owned()));
    }
    if !rest.is_empty() {
        parts.push(Part::Literal(rest.to_owned()));
    }
    Ok(parts)
}

fn parameter(inside: &str) -> Result<Part, TemplateError> {
    let (name, pattern) = match inside.split_once(':') {
        Some((name, pattern)) => (name, Some(pattern.to_owned())),
        None => (inside, None),
    };
    let name = name.to_owned();
    if is_name(&name) {
        Ok(Part::Parameter { name, pattern })
    } else {
        Err(TemplateError::ParameterName(name))
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
pub(super) fn is_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    let starts = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    bytes.next().is_some_and(starts)
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
