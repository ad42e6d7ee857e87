//! What Redis says, as it may be logged and answered.

use super::host::{Address, Host};

/// Where a text is cut, in characters.
const LONGEST: usize = 200;
/// Redis repeats a command that it does not know: of an AUTH, the password.
const REPEATED: &str = ", with args beginning with:";

impl Host {
    /// A reason for people: cut at 200 characters, without the passwords of the host and of its
    /// sentinels.
    pub(in crate::redis) fn shown(&self, reason: &str) -> String {
        let reason = reason.split(REPEATED).next().unwrap_or_default();
        let mut reason = reason.to_owned();
        for password in self.passwords() {
            reason = reason.replace(password, "***");
        }
        if let Some((end, _)) = reason.char_indices().nth(LONGEST) {
            reason.truncate(end);
            reason.push('…');
        }
        reason
    }

    /// Whether it, or one of its sentinels, asks for a password.
    pub fn has_password(&self) -> bool {
        self.passwords().next().is_some()
    }

    fn passwords(&self) -> impl Iterator<Item = &str> {
        let sentinels = match &self.address {
            Address::Master(master) => master.sentinels.as_slice(),
            Address::Tcp { .. } | Address::Unix(_) => &[],
        };
        let hosts = std::iter::once(self).chain(sentinels);
        let passwords = hosts.filter_map(|host| host.password.as_deref());
        passwords.filter(|password| !password.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_has_no_password_and_an_end() -> anyhow::Result<()> {
        let host = Host::parse("redis://ann:pa55word@h")?;
        let repeated = "unknown command 'AUTH', with args beginning with: 'ann' 'pa55wo";
        assert_eq!(host.shown(repeated), "unknown command 'AUTH'");
        assert_eq!(host.shown("no pa55word here"), "no *** here");
        assert_eq!(host.shown(&"é".repeat(1000)).chars().count(), LONGEST + 1);
        assert_eq!(host.shown("Connection refused"), "Connection refused");
        Ok(())
    }
}
