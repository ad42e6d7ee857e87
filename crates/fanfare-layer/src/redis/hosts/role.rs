//! Whether a connection leads to the server that takes writes.

use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{Cmd, Pipeline, Value};

use super::host::Host;

/// Finds out that a server is no master any more. A failover behind one address leaves old
/// connections open: a replica goes on to answer, and passes nothing on to the new master.
pub(in crate::redis) struct RoleCheck {
    /// For the log.
    host: String,
    /// Whether it is logged that the server does not tell its role.
    told: AtomicBool,
}

/// What a server said to [`question`].
pub(in crate::redis) enum ServerRole {
    Master,
    /// `slave`, or `sentinel`.
    Other(String),
    /// It does not tell, for this reason: a rule of its users, or a server that has no such command.
    Untold(String),
}

/// The command that a [`ServerRole`] answers.
pub(in crate::redis) fn question() -> Cmd {
    redis::cmd("ROLE")
}

impl ServerRole {
    pub(in crate::redis) fn of(answer: &Value) -> Self {
        match answer {
            Value::Array(parts) => match parts.first() {
                Some(Value::BulkString(name)) => Self::named(&String::from_utf8_lossy(name)),
                _ => Self::Untold("it does not tell its role".into()),
            },
            Value::ServerError(error) => Self::Untold(error.to_string()),
            _ => Self::Untold("it does not tell its role".into()),
        }
    }

    fn named(name: &str) -> Self {
        match name {
            // A replica that takes writes and passes them on, as KeyDB has it, is as good.
            "master" | "active-replica" => Self::Master,
            other => Self::Other(other.into()),
        }
    }
}

impl RoleCheck {
    pub(in crate::redis) fn new(host: &Host) -> Self {
        Self {
            host: host.to_string(),
            told: AtomicBool::new(false),
        }
    }

    /// Asks the server. The caller limits the time.
    ///
    /// # Errors
    /// The reason not to use the connection.
    pub(in crate::redis) async fn ask(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<(), String> {
        self.judge(&answer_of(connection).await?)
    }

    /// Judges an answer to [`question`]. A server that does not tell its role is used all the same,
    /// which is logged once.
    ///
    /// # Errors
    /// The reason not to use the connection.
    pub(in crate::redis) fn judge(&self, answer: &Value) -> Result<(), String> {
        match ServerRole::of(answer) {
            ServerRole::Master => Ok(()),
            ServerRole::Other(name) if name == "slave" => {
                Err("it is a replica, and does not pass on what is published there".into())
            }
            ServerRole::Other(name) => Err(format!("it is no master, its role is {name:?}")),
            ServerRole::Untold(reason) => {
                if !self.told.swap(true, Ordering::Relaxed) {
                    let host = &self.host;
                    tracing::warn!(
                        host,
                        reason,
                        "redis does not tell its role, so a failover that leaves connections open \
                         is not noticed: allow ROLE"
                    );
                }
                Ok(())
            }
        }
    }
}

/// What a server answers to [`question`], also when it refuses to.
///
/// # Errors
/// When the connection is lost.
pub(in crate::redis) async fn answer_of(
    connection: &mut MultiplexedConnection,
) -> Result<Value, String> {
    let mut commands = Pipeline::new();
    commands.add_command(question());
    let answers = connection.send_packed_commands(&commands, 0, 1).await;
    let answers = answers.map_err(|error| error.to_string())?;
    Ok(answers.into_iter().next().unwrap_or(Value::Nil))
}

/// Whether a server, asked with `INFO cluster`, is one of a Redis Cluster.
pub(in crate::redis) async fn is_in_cluster(connection: &mut MultiplexedConnection) -> bool {
    let mut question = redis::cmd("INFO");
    question.arg("cluster");
    // A user who may not ask is told by the first command that fails.
    let info: Result<String, _> = question.query_async(connection).await;
    info.is_ok_and(|info| info.contains("cluster_enabled:1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(parts: &[&str]) -> Value {
        let text = |part: &&str| Value::BulkString(part.as_bytes().to_vec());
        Value::Array(parts.iter().map(text).collect())
    }

    #[test]
    fn only_a_server_that_says_it_is_something_else_than_a_master_is_refused() {
        let check = RoleCheck::new(&Host::parse("redis://h").unwrap());
        for (name, used) in [
            ("master", true),
            ("active-replica", true),
            ("slave", false),
            ("sentinel", false),
        ] {
            assert_eq!(check.judge(&says(&[name, "x"])).is_ok(), used, "{name}");
        }
        assert!(check.judge(&Value::Nil).is_ok());
    }
}
