//! TCP ports for servers that cannot be told to take any free one.

use std::env;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::net::TcpListener;
use std::ops::Range;

use anyhow::{Context as _, Result, bail};

/// What a Linux without its own setting hands out to outgoing connections begins here.
const USUAL_EPHEMERAL: u16 = 32_768;
/// Ports below this belong to well-known services.
const LOWEST: u16 = 10_240;
/// Where a process begins to look, apart from others by a prime.
const STEP: u32 = 7_919;

/// A TCP port of 127.0.0.1 that no other test can take while this value lives.
///
/// The port is below those that the system gives to outgoing connections and to `bind` of port 0,
/// and a lock on a file stands for it, which every user of this type respects. So a server may be
/// started on the port, ended, and started again, and nobody comes between.
#[derive(Debug)]
pub struct ReservedPort {
    number: u16,
    /// Locked as long as it is open.
    _lock: File,
}

impl ReservedPort {
    /// Reserves a port on which nothing listens.
    ///
    /// # Errors
    /// When all are taken, or the temporary directory cannot be written.
    pub fn reserve() -> Result<Self> {
        let ports = range();
        let count = u32::from(ports.end - ports.start);
        let first = std::process::id().wrapping_mul(STEP) % count;
        for offset in 0..count {
            let offset = u16::try_from((first + offset) % count)?;
            if let Some(port) = Self::lock(ports.start + offset)? {
                return Ok(port);
            }
        }
        bail!("every port of {ports:?} is reserved or in use")
    }

    /// The number.
    pub fn number(&self) -> u16 {
        self.number
    }

    fn lock(number: u16) -> Result<Option<Self>> {
        let folder = env::temp_dir().join("fanfare-ports");
        fs::create_dir_all(&folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
        let file = folder.join(number.to_string());
        let lock = OpenOptions::new().create(true).append(true).open(&file);
        let lock = lock.with_context(|| format!("cannot open {}", file.display()))?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => {
                return Err(error).with_context(|| format!("cannot lock {}", file.display()));
            }
        }
        // Programs that know nothing of the locks may listen here.
        match TcpListener::bind(("127.0.0.1", number)) {
            Ok(_) => Ok(Some(Self {
                number,
                _lock: lock,
            })),
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => Ok(None),
            Err(error) => Err(error).with_context(|| format!("cannot try port {number}")),
        }
    }
}

/// The ports below those that the system hands out by itself.
fn range() -> Range<u16> {
    let setting = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range");
    let first = setting
        .ok()
        .and_then(|text| text.split_whitespace().next()?.parse().ok());
    let end = first
        .filter(|first| *first > LOWEST)
        .unwrap_or(USUAL_EPHEMERAL);
    LOWEST..end
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_port_is_reserved_for_one_value_at_a_time() -> Result<()> {
        let ports: Vec<_> = (0..50)
            .map(|_| ReservedPort::reserve())
            .collect::<Result<_>>()?;
        let numbers: BTreeSet<_> = ports.iter().map(ReservedPort::number).collect();
        assert_eq!(numbers.len(), ports.len());
        assert!(ReservedPort::lock(ports[0].number())?.is_none());
        Ok(())
    }

    #[test]
    fn a_port_of_a_program_that_knows_no_locks_is_passed_over() -> Result<()> {
        let port = ReservedPort::reserve()?;
        let number = port.number();
        let _listener = TcpListener::bind(("127.0.0.1", number))?;
        drop(port);
        assert!(ReservedPort::lock(number)?.is_none());
        Ok(())
    }

    #[test]
    fn ports_that_the_system_hands_out_by_itself_are_never_reserved() -> Result<()> {
        let given = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        assert!(!range().contains(&given));
        Ok(())
    }
}
