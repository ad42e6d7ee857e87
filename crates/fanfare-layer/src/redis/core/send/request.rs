//! A publish that waits to be sent, and what becomes of it.

use fanfare_protocol::serializer::Draft;
use fanfare_protocol::{ChannelName, Envelope, SerializeError, Serializer, Target};

use crate::PublishError;
use crate::redis::queue::outgoing::{Reply, Work};

/// A publish.
pub(in crate::redis::core) struct PublishRequest {
    pub(super) target: Target,
    pub(super) draft: Draft,
    /// Channels that must not get it.
    pub(super) exclude: Vec<ChannelName>,
    /// Whether it only means something to nodes of Fanfare: it closes sessions.
    pub(super) close: bool,
}

/// What became of one copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    Taken {
        /// Messages that had waited there for too long, and were removed.
        lapsed: u64,
    },
    /// As many messages wait as may wait.
    Full,
    /// An error of the server, in its words.
    Refused(String),
    /// The host did not come to an answer.
    Failed(PublishError),
}

/// What became of an order's copies.
#[derive(Debug, Default)]
pub(super) struct Tally {
    taken: usize,
    lapsed: u64,
    full: usize,
    /// The first of each.
    refused: Option<String>,
    down: Option<PublishError>,
    unanswered: Option<PublishError>,
}

impl Work for PublishRequest {
    fn bytes(&self) -> usize {
        let exclude = self.exclude.iter().map(|name| name.as_str().len());
        self.draft.len() + exclude.sum::<usize>()
    }
}

impl PublishRequest {
    /// Encodes the event, on the publisher's thread.
    ///
    /// # Errors
    /// [`SerializeError`] names the field that the serializer has no notation for.
    pub(in crate::redis::core) fn new(
        serializer: &Serializer,
        target: Target,
        envelope: &Envelope,
    ) -> Result<Self, SerializeError> {
        Ok(Self {
            target,
            draft: serializer.draft(envelope)?,
            exclude: envelope.exclude.clone(),
            close: envelope.close.is_some(),
        })
    }

    /// What its publisher is told.
    ///
    /// A group's event is taken when every host took its copies, some of which may have met a full
    /// channel. When hosts were down or did not answer, the other copies went out all the same: the
    /// publish is `Unanswered` then, because it was sent in part, and `Down` only if nothing of it
    /// was sent at all.
    pub(super) fn reply(&self, tally: Tally) -> Reply {
        if tally.full > 0
            && let Target::Channel(channel) = &self.target
        {
            let channel = channel.clone();
            return Reply::Failed(PublishError::ChannelFull { channel });
        }
        match (tally.unanswered, tally.down, tally.refused) {
            (Some(error), _, _) => Reply::Failed(error),
            (None, Some(error), _) if tally.taken > 0 => {
                Reply::Failed(PublishError::Unanswered(format!("sent in part: {error}")))
            }
            (None, Some(error), _) => Reply::Failed(error),
            (None, None, Some(words)) => Reply::Refused(words),
            (None, None, None) => Reply::Taken,
        }
    }
}

impl Tally {
    pub(super) fn add(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Taken { lapsed } => {
                self.taken += 1;
                self.lapsed += lapsed;
            }
            Outcome::Full => self.full += 1,
            Outcome::Refused(words) => self.refused = self.refused.take().or(Some(words)),
            Outcome::Failed(error @ PublishError::Unanswered(_)) => {
                self.unanswered = self.unanswered.take().or(Some(error));
            }
            Outcome::Failed(error) => self.down = self.down.take().or(Some(error)),
        }
    }

    /// How many copies met a full channel, of those that were answered.
    pub(super) fn full(&self) -> (usize, usize) {
        (self.full, self.full + self.taken)
    }

    /// How many messages made place because they had waited for too long.
    pub(super) fn lapsed(&self) -> u64 {
        self.lapsed
    }
}
