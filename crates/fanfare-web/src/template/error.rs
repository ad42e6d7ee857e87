//! What can be wrong with a template.

/// How many parameters actix-web takes in one path.
pub(super) const MOST: usize = 16;

/// Why a path or the name of a group cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    /// Paths are absolute.
    #[error("a path must start with \"/\"")]
    NotAbsolute,
    /// A `{` without its `}`, or the reverse.
    #[error("{0:?} has an unbalanced brace")]
    Unbalanced(String),
    /// Parameters are named like variables.
    #[error("the parameter {0:?} must be a letter or _, then letters, digits or _")]
    ParameterName(String),
    /// A parameter that is there twice.
    #[error("the parameter {0:?} is there twice")]
    Repeated(String),
    /// More than actix-web takes.
    #[error("there are more than {MOST} parameters")]
    TooMany,
    /// A word that is none of the kinds.
    #[error(
        "the parameter {name:?} is of an unknown kind {kind:?}: use str, int, slug, uuid, path, or \
         a regular expression"
    )]
    Kind {
        /// The parameter.
        name: String,
        /// The word.
        kind: String,
    },
    /// A pattern that is no regular expression.
    #[error("the pattern of the parameter {name:?}: {reason}")]
    Pattern {
        /// The parameter.
        name: String,
        /// What is wrong with its pattern.
        reason: String,
    },
    /// actix-web gives it a meaning of its own.
    #[error("a \"*\" outside of a parameter: use {{name:path}} for the rest of a path")]
    Star,
    /// A group with a parameter that the path lacks.
    #[error("the group {group:?} uses {{{name}}}, which the path does not have")]
    Unknown {
        /// The template of the group.
        group: String,
        /// The parameter.
        name: String,
    },
    /// Groups take parameters as the path matched them.
    #[error("the group {group:?} gives {{{name}}} a pattern; patterns belong to the path")]
    PatternInGroup {
        /// The template of the group.
        group: String,
        /// The parameter.
        name: String,
    },
    /// A group of Fanfare's own.
    #[error("the group {group:?}: names that start with \"fanfare.\" are Fanfare's own")]
    Reserved {
        /// The template of the group.
        group: String,
    },
}
