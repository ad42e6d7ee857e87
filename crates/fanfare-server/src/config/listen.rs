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
        let text = node.text().unwrap_or_default();
        match text.parse::<Bind>() {
            Ok(address) if addresses.contains(&address) && !takes_any_port(&address) => {
                let reason = "stands there twice, and only one socket can listen on it";
                reader.problems.push(&key, node, reason);
            }
            Ok(address) => addresses.push(address),
            Err(reason) if text.contains(',') => {
                let reason = format!("{reason}; several are a list: [\"..\", \"..\"]");
                reader.problems.push(&key, node, reason);
            }
            Err(reason) => reader.problems.push(&key, node, reason.to_string()),
        }
    }
    addresses
}

fn takes_any_port(bind: &Bind) -> bool {
    matches!(bind, Bind::Tcp(address) if address.port() == 0)
}

/// `http.socket_mode`.
pub(super) fn socket_mode(reader: &mut Reader<'_>) -> u32 {
    const KEY: &str = "http.socket_mode";
    const WRITE: u32 = 0o222;
    let text = reader.text(KEY);
    let digits = text.strip_prefix("0o").unwrap_or(text);
    let is_octal = digits.bytes().all(|digit| digit.is_ascii_digit());
    match u32::from_str_radix(digits, 8) {
        Ok(mode) if is_octal && mode <= 0o777 => {
            if mode & WRITE == 0 {
                reader.refuse(KEY, "lets nobody connect: that needs the right to write");
            }
            mode
        }
        _ => {
            reader.refuse(
                KEY,
                "must be an octal mode from 0 to 0777, such as \"0660\"",
            );
            0
        }
    }
}

/// Whether only programs of this machine reach an address.
pub(crate) fn is_local(bind: &Bind) -> bool {
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
    if entries.is_empty() {
        reader.refuse(
            "http.origins",
            "is empty, so nobody could connect: write \"same-host\" or a list of origins",
        );
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

/// `http.hosts`.
pub(super) fn hosts(reader: &mut Reader<'_>) -> Vec<String> {
    const FORM: &str = "must be a host without a port, such as example.com or .example.com";
    let mut hosts = Vec::new();
    for (key, node) in reader.entries("http.hosts") {
        let text = node.text().unwrap_or_default();
        match if text == "*" {
            Ok(())
        } else {
            check_host(text)
        } {
            Ok(()) => hosts.push(text.to_owned()),
            Err(reason) => {
                let reason = reason.unwrap_or_else(|| FORM.to_owned());
                reader.problems.push(&key, node, reason);
            }
        }
    }
    hosts
}

/// Refuses patterns that could never match, rather than refusing every visitor without a word.
fn check_origin(text: &str) -> Result<(), String> {
    const FORM: &str =
        "must be a host such as example.com, .example.com or https://example.com:8443";
    match text {
        "*" => return Ok(()),
        SAME_HOST => return Err("\"same-host\" stands alone, not in a list".to_owned()),
        "null" => {
            return Err(
                "matches no page: \"null\" is the origin of pages without a host, such as files \
                 and sandboxed frames, and only \"*\" lets them in"
                    .to_owned(),
            );
        }
        _ => {}
    }
    let (scheme, authority) = match text.split_once("://") {
        Some((scheme, authority)) => (Some(scheme), authority),
        None => (None, text),
    };
    let after_bracket = authority
        .rsplit_once(']')
        .map_or(authority, |(_, rest)| rest);
    let port = after_bracket.split_once(':').map(|(_, port)| port);
    let host = port.and_then(|port| authority.strip_suffix(&format!(":{port}")));
    let host = host.unwrap_or(authority);
    let is_scheme = |scheme: &str| {
        let letter = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
        letter
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    };
    if host.contains('*') {
        return Err("\"*\" stands alone; for every subdomain write .example.com".to_owned());
    }
    if host.contains('/') {
        return Err("an origin must not have a path".to_owned());
    }
    if scheme.is_some_and(|scheme| !is_scheme(scheme)) {
        return Err(FORM.to_owned());
    }
    if port.is_some_and(|port| !matches!(port.parse::<u16>(), Ok(1..))) {
        // Not shown: it may be the password of a URL.
        return Err("what stands behind its last colon is not a port".to_owned());
    }
    check_host(host).map_err(|reason| reason.unwrap_or_else(|| FORM.to_owned()))
}

/// Whether a browser can send a host like this; `None` is the general reason.
fn check_host(host: &str) -> Result<(), Option<String>> {
    if let Some(address) = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        return address.parse::<Ipv6Addr>().map(drop).map_err(|_| None);
    }
    let name = host.strip_prefix('.').unwrap_or(host);
    if !name.is_ascii()
        && let Ok(sent) = url::Host::parse(name)
    {
        let dot = if name.len() < host.len() { "." } else { "" };
        return Err(Some(format!(
            "browsers send this host as {dot}{sent}: write that"
        )));
    }
    let label = |label: &str| {
        let of_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        !label.is_empty() && label.bytes().all(of_name)
    };
    // A name may end with a dot.
    let labels = name.strip_suffix('.').unwrap_or(name).split('.');
    if labels.into_iter().all(label) {
        return Ok(());
    }
    Err(None)
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
            "xn--bcher-kva.example",
            "chrome-extension://abcdefgh",
            "localhost",
            "127.0.0.1:3000",
            "A.com.",
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
            "null",
            "a.com,b.com",
            "a.com b.com",
            "ann@a.com",
            "a.com?x",
            "a.com:0",
            "a..com",
            ".",
            "https:a.com",
            "//a.com",
            "[::x]",
        ] {
            assert!(check_origin(bad).is_err(), "{bad}");
        }
        let reason = check_origin(".bücher.example").expect_err("not as it is sent");
        assert!(reason.contains(".xn--bcher-kva.example"), "{reason}");
    }
}
