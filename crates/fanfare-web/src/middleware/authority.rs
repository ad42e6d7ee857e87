//! Hosts and ports as requests and patterns name them.

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Port {
    Absent,
    Number(u16),
    /// No number of a port: equal to no port.
    Broken,
}

pub(super) fn latin1(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

/// Whether a host is one of a pattern: itself, or with a dot in front everything below too.
pub(super) fn is_in_domain(host: &str, domain: &str) -> bool {
    match domain.strip_prefix('.') {
        Some(parent) => host == parent || host.ends_with(domain),
        None => host == domain,
    }
}

/// Host, without user information and brackets, and port.
pub(super) fn split_authority(authority: &str) -> (Option<String>, Port) {
    let authority = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    let (host, port) = match authority
        .strip_prefix('[')
        .and_then(|rest| rest.split_once(']'))
    {
        Some((host, rest)) => (host, rest.strip_prefix(':')),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    let port = match port {
        None | Some("") => Port::Absent,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            digits.parse().map_or(Port::Broken, Port::Number)
        }
        Some(_) => Port::Broken,
    };
    (
        Some(host.to_lowercase()).filter(|host| !host.is_empty()),
        port,
    )
}
