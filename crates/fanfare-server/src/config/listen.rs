//! Addresses: where to listen, whom to believe, which pages may connect.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use fanfare_gateway::Bind;
use fanfare_web::TrustedProxies;
use ipnet::IpNet;

use super::reader::Reader;

/// What `http.origins` says when no list replaces the rule.
const SAME_HOST: &str = "same-host";

/// `http.bind`.
pub(super) fn addresses(reader: &mut Reader<'_>) -> Vec<Bind> {
    let entries = reader.entries("http.bind");
    if entries.is_empty() {
        reader.refuse("http.bind", "has no address to listen on");
    }
    let mut addresses = Vec::new();
    for (key, node) in entries {
        match node.text().unwrap_or_default().parse::<Bind>() {
            Ok(address) => addresses.push(address),
            Err(reason) => reader.problems.push(&key, node, reason.to_string()),
        }
    }
    addresses
}

/// Whether only programs of this machine reach an address.
pub(super) fn is_local(bind: &Bind) -> bool {
    match bind {
        Bind::Tcp(address) => address.ip().to_canonical().is_loopback(),
        Bind::Unix(_) => true,
    }
}

/// An address that a client on this machine can use: who listens everywhere is reached at the
/// loopback address.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}

/// `http.trusted_proxies`; a bare address is a network of one.
pub(super) fn trusted_proxies(reader: &mut Reader<'_>) -> TrustedProxies {
    let mut networks = Vec::new();
    for (key, node) in reader.entries("http.trusted_proxies") {
        let text = node.text().unwrap_or_default();
        match text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
        {
            Ok(network) => networks.push(network),
            Err(_) => reader.problems.push(
                &key,
                node,
                "must be an address or a network, such as 10.1.2.3 or 10.0.0.0/8",
            ),
        }
    }
    networks.into_iter().collect()
}

/// `http.origins`.
pub(super) fn origins(reader: &mut Reader<'_>) -> Option<Vec<String>> {
    let entries = reader.entries("http.origins");
    if let [(_, node)] = entries.as_slice()
        && node.text() == Some(SAME_HOST)
    {
        return None;
    }
    let mut origins = Vec::new();
    for (key, node) in entries {
        let text = node.text().unwrap_or_default();
        match check_origin(text) {
            Ok(()) => origins.push(text.to_owned()),
            Err(reason) => reader.problems.push(&key, node, reason),
        }
    }
    Some(origins)
}

/// Refuses patterns that could never match, rather than refusing every visitor without a word.
fn check_origin(text: &str) -> Result<(), String> {
    if text == "*" {
        return Ok(());
    }
    let host = text.split_once("://").map_or(text, |(_, host)| host);
    let after_bracket = host.rsplit_once(']').map_or(host, |(_, rest)| rest);
    let (name, port) = match after_bracket.split_once(':') {
        Some((_, port)) => (
            host.strip_suffix(&format!(":{port}")).unwrap_or(host),
            Some(port),
        ),
        None => (host, None),
    };
    match port {
        _ if name.is_empty() || text.contains(char::is_whitespace) => Err(
            "must be a host such as example.com, .example.com or https://example.com".to_owned(),
        ),
        _ if name.contains('*') => {
            Err("\"*\" stands alone; for every subdomain write .example.com".to_owned())
        }
        _ if name.contains('/') => Err("an origin must not have a path".to_owned()),
        Some(port) if port.parse::<u16>().is_err() => Err(format!("\"{port}\" is not a port")),
        _ if text == SAME_HOST => Err("\"same-host\" stands alone, not in a list".to_owned()),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_and_sockets_are_local() {
        let local = |text: &str| is_local(&text.parse().expect(text));
        assert!(local("127.0.0.9:1") && local("[::1]:1") && local("unix:/x"));
        assert!(local("[::ffff:127.0.0.1]:1"));
        assert!(!local("0.0.0.0:1") && !local("[::]:1") && !local("192.168.0.1:1"));
    }

    #[test]
    fn origins_that_could_never_match_are_refused() {
        for good in [
            "*",
            "a.com",
            ".a.com",
            "a.com:8080",
            "[::1]:8080",
            "https://a.com:8443",
            "http://.a.com",
            "[::1]",
        ] {
            assert_eq!(check_origin(good), Ok(()), "{good}");
        }
        for bad in [
            "",
            "a.com:x",
            "a.com:99999",
            ":80",
            "*.a.com",
            "https://a.com/",
            "http://a.com:x",
            "https://",
        ] {
            assert!(check_origin(bad).is_err(), "{bad}");
        }
    }
}
