//! Whom something is published to.

use fanfare_protocol::{GroupName, NameError, Naming, Target};

use crate::refusal::{Code, Refusal};

/// Whom a publisher names, unchecked.
#[derive(Debug, Clone, Copy)]
pub enum Address<'a> {
    /// The members of a group.
    Group(&'a str),
    /// A session's channel, or one that workers receive from.
    Channel(&'a str),
    /// The sessions of a user, by the user's id.
    User(&'a str),
    /// All sessions.
    Everyone,
}

impl Address<'_> {
    /// The target that it names.
    ///
    /// # Errors
    /// [`NameError`].
    pub fn target(self, naming: &Naming) -> Result<Target, NameError> {
        match self {
            Self::Group(name) => GroupName::parse(name).map(Target::Group),
            Self::Channel(name) => naming.channel(name).map(Target::Channel),
            Self::User(id) => GroupName::user(id).map(Target::Group),
            Self::Everyone => Ok(Target::Group(GroupName::everyone())),
        }
    }

    /// How a request with an address that names nobody is refused: the field is the kind of the
    /// address.
    pub fn refuse(self, error: &NameError) -> Refusal {
        let (code, field) = match self {
            Self::Group(_) | Self::Everyone => (Code::InvalidGroup, "group"),
            Self::Channel(_) => (Code::InvalidChannel, "channel"),
            Self::User(_) => (Code::InvalidUser, "user"),
        };
        Refusal::name(code, field, error)
    }
}
