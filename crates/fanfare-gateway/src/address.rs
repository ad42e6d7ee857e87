//! Reads the addresses on which a server listens.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;

use crate::bind::{Bind, BindError};

/// Why a text is not a [`Bind`]. The message is the end of a sentence about the text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The text has none of the forms.
    #[error("must be ADDRESS:PORT, [IPv6]:PORT or unix:/path")]
    Form,
    /// An address without a port.
    #[error("must be ADDRESS:PORT, [IPv6]:PORT or unix:/path; the port is missing: {example}")]
    NoPort {
        /// The address with a port.
        example: String,
    },
    /// A path that a socket cannot have.
    #[error("a socket's path {0}")]
    Path(&'static str),
    /// A path that is too long for a socket.
    #[error("a socket's path has at most {LONGEST_PATH} bytes, this one {bytes}")]
    LongPath {
        /// How many it has.
        bytes: usize,
    },
}

/// `sun_path` of Linux, less the final zero.
const LONGEST_PATH: usize = 107;

/// An address that a [`Server`](crate::Server) can listen on: `"127.0.0.1:8000"`,
/// `"unix:/run/app.sock"`, `("127.0.0.1", 8000)`, a [`SocketAddr`], a [`Bind`], or several of them
/// in a `Vec` or an array. `localhost` is 127.0.0.1. Other names are not resolved.
pub trait IntoBinds {
    /// The addresses.
    ///
    /// # Errors
    /// [`BindError`] for the first that is none.
    fn into_binds(self) -> Result<Vec<Bind>, BindError>;
}

impl FromStr for Bind {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        if let Some(path) = text.strip_prefix("unix:") {
            return match path.len() {
                _ if !path.starts_with('/') => Err(AddressError::Path("must start with \"/\"")),
                _ if path.contains('\0') => Err(AddressError::Path("holds a zero byte")),
                bytes if bytes > LONGEST_PATH => Err(AddressError::LongPath { bytes }),
                _ => Ok(Self::Unix(PathBuf::from(path))),
            };
        }
        let local = text.strip_prefix("localhost:");
        let local = local.map(|port| format!("127.0.0.1:{port}"));
        let number = local.as_deref().unwrap_or(text);
        number
            .parse()
            .map(Self::Tcp)
            .map_err(|_| match text.parse() {
                Ok(address) => AddressError::NoPort {
                    example: SocketAddr::new(address, 8000).to_string(),
                },
                Err(_) => AddressError::Form,
            })
    }
}

impl IntoBinds for Bind {
    fn into_binds(self) -> Result<Vec<Bind>, BindError> {
        Ok(vec![self])
    }
}

impl IntoBinds for SocketAddr {
    fn into_binds(self) -> Result<Vec<Bind>, BindError> {
        Ok(vec![Bind::Tcp(self)])
    }
}

impl IntoBinds for (IpAddr, u16) {
    fn into_binds(self) -> Result<Vec<Bind>, BindError> {
        SocketAddr::from(self).into_binds()
    }
}

impl IntoBinds for &str {
    fn into_binds(self) -> Result<Vec<Bind>, BindError> {
        match self.parse() {
            Ok(bind) => Ok(vec![bind]),
            Err(error) => Err(no_address(self.to_owned(), error)),
        }
    }
}

impl IntoBinds for String {
    fn into_binds(self) -> Result<Vec<Bind>, BindError> {
        self.as_str().into_binds()
    }
}

impl IntoBinds for &String {
    fn into_binds(self) -> Result<Vec<Bind>, BindError> {
        self.as_str().into_binds()
    }
}

impl IntoBinds for (&str, u16) {
    fn into_binds(self) -> Result<Vec<Bind>, BindError> {
        let (host, port) = self;
        match host.parse::<IpAddr>() {
            Ok(address) => (address, port).into_binds(),
            Err(_) => format!("{host}:{port}").into_binds(),
        }
    }
}

impl<T: IntoBinds> IntoBinds for Vec<T> {
    fn into_binds(self) -> Result<Vec<Bind>, BindError> {
        all(self)
    }
}

impl<T: IntoBinds, const N: usize> IntoBinds for [T; N] {
    fn into_binds(self) -> Result<Vec<Bind>, BindError> {
        all(self)
    }
}

fn all<T: IntoBinds>(many: impl IntoIterator<Item = T>) -> Result<Vec<Bind>, BindError> {
    let mut binds = Vec::new();
    for one in many {
        binds.append(&mut one.into_binds()?);
    }
    Ok(binds)
}

fn no_address(address: String, error: AddressError) -> BindError {
    BindError::refused(address, io::Error::new(io::ErrorKind::InvalidInput, error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Bind, AddressError> {
        text.parse()
    }

    fn tcp(address: &str) -> Vec<Bind> {
        vec![Bind::Tcp(address.parse().unwrap())]
    }

    #[test]
    fn an_address_may_be_written_in_every_usual_way() {
        let address: SocketAddr = "127.0.0.1:8000".parse().unwrap();
        assert_eq!(address.into_binds().unwrap(), tcp("127.0.0.1:8000"));
        assert_eq!("localhost:1".into_binds().unwrap(), tcp("127.0.0.1:1"));
        assert_eq!("[::1]:1".into_binds().unwrap(), tcp("[::1]:1"));
        assert_eq!(("localhost", 1).into_binds().unwrap(), tcp("127.0.0.1:1"));
        assert_eq!(("::1", 1).into_binds().unwrap(), tcp("[::1]:1"));
        assert_eq!((address.ip(), 1).into_binds().unwrap(), tcp("127.0.0.1:1"));
        let socket = Bind::Unix("/run/a".into());
        assert_eq!("unix:/run/a".into_binds().unwrap(), vec![socket.clone()]);
        let both = vec!["127.0.0.1:8000", "unix:/run/a"];
        assert_eq!(both.into_binds().unwrap(), [Bind::Tcp(address), socket]);
    }

    #[test]
    fn what_is_no_address_is_named_with_what_is_missing() {
        for (bad, missing) in [
            ("8000", "ADDRESS:PORT"),
            ("example.com:80", "ADDRESS:PORT"),
            ("0.0.0.0", "0.0.0.0:8000"),
            ("::", "[::]:8000"),
            ("unix:a", "must start with"),
        ] {
            let refused = bad.into_binds().unwrap_err();
            let message = refused.to_string();
            let BindError::Address { error, .. } = refused else {
                panic!("{message}")
            };
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
            let start = format!("cannot listen on {bad}: ");
            assert!(message.starts_with(&start), "{message}");
            assert!(message.contains(missing), "{message}");
        }
    }

    #[test]
    fn addresses_are_tcp_or_unix() {
        assert!(matches!(parse("127.0.0.1:80"), Ok(Bind::Tcp(_))));
        assert!(matches!(parse("[::1]:80"), Ok(Bind::Tcp(_))));
        assert!(matches!(parse("localhost:0"), Ok(Bind::Tcp(_))));
        assert!(matches!(parse("unix:/run/f.sock"), Ok(Bind::Unix(_))));
        for bad in [
            "",
            "8000",
            ":8000",
            "1.2.3.4",
            "1.2.3.4:99999",
            "unix:rel",
            "example.com:80",
        ] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_without_port_is_answered_with_one() {
        let reason = parse("::1").expect_err("no port").to_string();
        assert!(reason.ends_with("[::1]:8000"), "{reason}");
    }
}
