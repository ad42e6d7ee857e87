//! Who a session belongs to.

use fanfare_protocol::{GroupName, NameError};

/// Who a client is, as whoever authenticated it says. Its sessions are members of the groups here,
/// besides those of their route.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    user: Option<Box<str>>,
    user_group: Option<GroupName>,
    groups: Box<[GroupName]>,
}

impl Identity {
    /// The user with this id; its sessions are in the user's group `fanfare.user.<id>`.
    ///
    /// # Errors
    /// [`NameError::User`] when the id is empty or too long for the name of a group.
    pub fn of_user(id: &str) -> Result<Self, NameError> {
        Ok(Self {
            user_group: Some(GroupName::user(id)?),
            user: Some(id.into()),
            groups: Box::default(),
        })
    }

    /// Adds groups of the client's own.
    #[must_use]
    pub fn with_groups(self, groups: impl IntoIterator<Item = GroupName>) -> Self {
        Self {
            groups: groups.into_iter().collect(),
            ..self
        }
    }

    /// The user's id; `None` for a client that is nobody in particular.
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The group of all sessions of the user.
    pub fn user_group(&self) -> Option<&GroupName> {
        self.user_group.as_ref()
    }

    /// The groups of the client's own, without that of the user.
    pub fn groups(&self) -> &[GroupName] {
        &self.groups
    }

    /// All groups that a session of this identity joins besides those of its route.
    pub(crate) fn memberships(&self) -> impl Iterator<Item = &GroupName> {
        self.groups.iter().chain(&self.user_group)
    }
}
