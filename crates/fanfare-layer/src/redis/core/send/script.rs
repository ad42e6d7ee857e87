//! What Redis runs for every copy, and what it says to it.

use std::fmt::Write as _;
use std::sync::LazyLock;

use redis::aio::MultiplexedConnection;
use redis::{Pipeline, RedisResult, ServerError, Value};
use sha1::{Digest as _, Sha1};

use super::request::Outcome;
use crate::PublishError;
use crate::redis::core::host::commands::is_fault;

/// Adds a message to a channel's zset, if fewer than `ARGV[2]` wait there that are younger than
/// `ARGV[1]` seconds. The score is the server's time, or just above the greatest score if that is
/// later: messages come out in the order in which they were added, whatever the clocks of other
/// senders say. A server without memory refuses the first command that writes, and only that, so
/// it must be the one that adds. Answers 0 where there was no room, else one and how many messages
/// were removed because nobody had taken them in time.
const SEND: &str = "\
local time = redis.call('TIME')
local oldest = time[1] - ARGV[1]
if redis.call('ZCOUNT', KEYS[1], '(' .. string.format('%d', oldest), '+inf') >= tonumber(ARGV[2]) then
  return 0
end
local score = tonumber(string.format('%d.%06d', time[1], time[2]))
local last = tonumber(redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2])
if last and last >= score then
  score = last + 0.000001
end
redis.call('ZADD', KEYS[1], string.format('%.6f', score), ARGV[3])
local lapsed = redis.call('ZREMRANGEBYSCORE', KEYS[1], 0, string.format('%d', oldest))
redis.call('EXPIRE', KEYS[1], ARGV[1])
return 1 + lapsed
";

/// What `EVALSHA` calls it.
static SHA: LazyLock<String> = LazyLock::new(|| {
    let mut sha = String::with_capacity(40);
    for byte in Sha1::digest(SEND) {
        // Writing to a String cannot fail.
        let _ = write!(sha, "{byte:02x}");
    }
    sha
});

/// A copy, ready to be sent.
pub(super) struct Copy<'a> {
    /// The zset where it is to wait.
    pub(super) key: &'a str,
    /// In seconds.
    pub(super) expiry: u64,
    pub(super) capacity: usize,
    pub(super) body: &'a [u8],
}

impl Copy<'_> {
    /// Adds the call. The script must be loaded.
    pub(super) fn send(&self, commands: &mut Pipeline) {
        commands
            .cmd("EVALSHA")
            .arg(SHA.as_str())
            .arg(1)
            .arg(self.key)
            .arg(self.expiry)
            .arg(self.capacity)
            .arg(self.body);
    }
}

/// Makes the script known to a host, which forgets it when it starts anew.
pub(in crate::redis::core) async fn load(
    connection: &mut MultiplexedConnection,
) -> RedisResult<()> {
    let mut command = redis::cmd("SCRIPT");
    command.arg("LOAD").arg(SEND);
    command.exec_async(connection).await
}

/// What the script said.
pub(super) fn outcome(answer: Option<Value>) -> Outcome {
    match answer {
        Some(Value::Int(0)) => Outcome::Full,
        Some(Value::Int(taken)) => Outcome::Taken {
            lapsed: u64::try_from(taken - 1).unwrap_or(0),
        },
        Some(Value::ServerError(error)) => refusal(&error),
        other => Outcome::Refused(format!("the send script answered {other:?}")),
    }
}

/// A host that takes no writes, or that has to be set up again, is as good as down; nothing was
/// done there.
pub(super) fn refusal(error: &ServerError) -> Outcome {
    if is_fault(error) {
        Outcome::Failed(PublishError::Down(error.to_string()))
    } else {
        Outcome::Refused(error.to_string())
    }
}
