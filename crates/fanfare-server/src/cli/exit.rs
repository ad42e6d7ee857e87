//! How the process ends.

use std::fmt;
use std::process::ExitCode;

use crate::config::ConfigError;

/// What an exit status means; the numbers are those of `sysexits.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// It did not work.
    Failure = 1,
    /// The command line is wrong.
    Usage = 64,
    /// Something that is needed does not answer.
    Unavailable = 69,
    /// The configuration is wrong.
    Configuration = 78,
}

/// Every exit status, for people: shown by `--help`.
pub(crate) const TABLE: &str = "\
Exit status:
   0  done, or shut down as asked
   1  failed; for health: not ready
  64  usage: the command line or the event is wrong
  69  unavailable: the server or Redis does not answer, or the layer does not support it
  78  configuration: every error is listed";

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failed {
    exit: Exit,
    message: String,
}

impl Failed {
    /// A failure that a sentence explains.
    pub(crate) fn new(exit: Exit, message: impl fmt::Display) -> Self {
        Self {
            exit,
            message: message.to_string(),
        }
    }

    /// A wrong command line.
    pub(crate) fn usage(message: impl fmt::Display) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something that does not answer.
    pub(crate) fn unavailable(message: impl fmt::Display) -> Self {
        Self::new(Exit::Unavailable, message)
    }

    /// The status for the operating system.
    pub(crate) fn status(&self) -> ExitCode {
        ExitCode::from(self.exit as u8)
    }
}

impl fmt::Display for Failed {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.message.trim_end())
    }
}

impl From<ConfigError> for Failed {
    fn from(error: ConfigError) -> Self {
        Self::new(Exit::Configuration, error)
    }
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::new(Exit::Failure, format_args!("{error:#}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_every_status() {
        for exit in [
            Exit::Failure,
            Exit::Usage,
            Exit::Unavailable,
            Exit::Configuration,
        ] {
            let row = format!("\n  {:>2}  ", exit as u8);
            assert!(TABLE.contains(&row), "{exit:?}");
        }
    }
}
