//! The client that sent a request: the peer of the connection, or the address that a trusted proxy
//! names.

use std::fmt;
use std::net::{AddrParseError, IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName};
use actix_web::{HttpRequest, web};
use ipnet::IpNet;

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The client that sent a request. `Display` writes it as in access lines: `127.0.0.1:10754`,
/// `203.0.113.9`, `unix`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Client {
    /// The peer of the connection.
    Peer(SocketAddr),
    /// The address that a trusted proxy named.
    Forwarded(IpAddr),
    /// A process on this machine, through a Unix socket.
    Unix,
}

/// The proxies whose `X-Forwarded-For` is trusted. By default there are none.
///
/// Add it to the App as data. Everything that needs the address of a client uses it:
///
/// ```
/// use actix_web::{App, web};
/// use fanfare_consumer::{NetworkError, TrustedProxies};
///
/// # fn app() -> Result<(), NetworkError> {
/// let proxies = web::Data::new(TrustedProxies::new(["10.0.0.0/8", "::1"])?);
/// let app = move || App::new().app_data(proxies.clone());
/// # let _ = app();
/// # Ok(())
/// # }
/// # app().unwrap();
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// A text that is neither a network, such as `10.0.0.0/8`, nor an address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is neither a network, such as 10.0.0.0/8, nor an IP address")]
pub struct NetworkError {
    /// The text.
    pub text: String,
    #[source]
    source: AddrParseError,
}

/// The address of the client that sent a request. Behind a proxy this needs [`TrustedProxies`] as
/// `web::Data` of the App. `None` on a Unix socket without `X-Forwarded-For`.
pub fn client(request: &HttpRequest) -> Option<IpAddr> {
    let proxies = request.app_data::<web::Data<TrustedProxies>>();
    let client = match proxies {
        Some(proxies) => proxies.client(request),
        None => TrustedProxies::default().client(request),
    };
    client.ip()
}

/// The address of the peer of a request's connection. An IPv4 address that is mapped into IPv6 is
/// IPv4 here. `None` on a Unix socket.
pub fn peer(request: &HttpRequest) -> Option<SocketAddr> {
    let peer = request.peer_addr()?;
    Some(SocketAddr::new(peer.ip().to_canonical(), peer.port()))
}

impl Client {
    /// The address. `None` for a process on this machine that names no client.
    pub fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Peer(address) => Some(address.ip()),
            Self::Forwarded(address) => Some(*address),
            Self::Unix => None,
        }
    }
}

impl fmt::Display for Client {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(address) => address.fmt(out),
            Self::Forwarded(address) => address.fmt(out),
            Self::Unix => out.write_str("unix"),
        }
    }
}

impl TrustedProxies {
    /// Reads networks such as `10.0.0.0/8`. An address alone is a network of one address.
    ///
    /// # Errors
    /// [`NetworkError`] for the first text that is neither.
    pub fn new<S: AsRef<str>>(networks: impl IntoIterator<Item = S>) -> Result<Self, NetworkError> {
        let networks = networks.into_iter().map(|text| network(text.as_ref()));
        networks.collect()
    }

    /// The client that sent a request. If the peer is a trusted proxy, the client is the rightmost
    /// address of `X-Forwarded-For` that is not a trusted proxy. Addresses further left are not
    /// trusted, because the client may have written them. A process that may connect to a Unix
    /// socket is a trusted proxy.
    pub fn client(&self, request: &HttpRequest) -> Client {
        self.named(peer(request), request.headers())
    }

    /// Whether what the peer of a request says about its client is believed.
    pub fn trust_peer_of(&self, request: &HttpRequest) -> bool {
        peer(request).is_none_or(|peer| self.trusts(peer.ip()))
    }

    fn named(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Client {
        let mut client = peer.map_or(Client::Unix, Client::Peer);
        if peer.is_some_and(|peer| !self.trusts(peer.ip())) {
            return client;
        }
        let values: Vec<_> = headers.get_all(FORWARDED_FOR).collect();
        for value in values.into_iter().rev() {
            let Ok(hops) = value.to_str() else {
                return client;
            };
            for hop in hops.rsplit(',') {
                let Some(address) = hop_address(hop.trim()) else {
                    return client;
                };
                client = Client::Forwarded(address);
                if !self.trusts(address) {
                    return client;
                }
            }
        }
        client
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl FromIterator<IpNet> for TrustedProxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(networks: I) -> Self {
        Self(networks.into_iter().map(canonical).collect())
    }
}

/// A network of IPv4 addresses that are mapped into IPv6, as IPv4.
fn canonical(network: IpNet) -> IpNet {
    let mapped = network.prefix_len().checked_sub(96);
    let address = network.addr().to_canonical();
    match mapped.map(|bits| IpNet::new(address, bits)) {
        Some(Ok(network)) if address.is_ipv4() => network,
        _ => network,
    }
}

fn network(text: &str) -> Result<IpNet, NetworkError> {
    text.parse::<IpNet>().or_else(|_| {
        let address = text.parse::<IpAddr>().map_err(|source| NetworkError {
            text: text.to_owned(),
            source,
        })?;
        Ok(address.into())
    })
}

/// An address as proxies write it: bare, with a port, or in brackets.
fn hop_address(hop: &str) -> Option<IpAddr> {
    let bare = hop
        .strip_prefix('[')
        .and_then(|hop| hop.strip_suffix(']'))
        .unwrap_or(hop);
    let address: Option<IpAddr> = bare.parse().ok();
    let address = address.or_else(|| hop.parse::<SocketAddr>().ok().map(|address| address.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn named(peer: &str, forwarded: &[&'static str], trusted: &[&str]) -> String {
        named_to(Some(peer.parse().unwrap()), forwarded, trusted)
    }

    fn named_to(peer: Option<SocketAddr>, forwarded: &[&'static str], trusted: &[&str]) -> String {
        let peer = peer.map(|peer| SocketAddr::new(peer.ip().to_canonical(), peer.port()));
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(FORWARDED_FOR, HeaderValue::from_static(value));
        }
        let trusted = TrustedProxies::new(trusted).unwrap();
        let client = trusted.named(peer, &headers);
        client.to_string()
    }

    #[test]
    fn strangers_cannot_name_another_client() {
        assert_eq!(named("192.0.2.1:7", &["203.0.113.9"], &[]), "192.0.2.1:7");
        assert_eq!(
            named("192.0.2.1:7", &["203.0.113.9"], &["10.0.0.0/8"]),
            "192.0.2.1:7"
        );
    }

    #[test]
    fn behind_trusted_proxies_the_rightmost_stranger_is_the_client() {
        let trusted = ["10.0.0.0/8", "::1"];
        for (forwarded, client) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
            (&["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (&["198.51.100.1", "203.0.113.9,10.0.0.2"], "203.0.113.9"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["[2001:db8::1]:4711"], "2001:db8::1"),
            (&["[2001:db8::1]"], "2001:db8::1"),
            (&["2001:db8::1"], "2001:db8::1"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["unknown"], "10.0.0.1:7"),
            (&[], "10.0.0.1:7"),
        ] {
            assert_eq!(
                named("10.0.0.1:7", forwarded, &trusted),
                client,
                "{forwarded:?}"
            );
        }
        assert_eq!(
            named("[::ffff:10.0.0.1]:7", &["203.0.113.9"], &trusted),
            "203.0.113.9"
        );
    }

    #[test]
    fn a_process_on_a_unix_socket_may_name_the_client() {
        let named = |forwarded: &[&'static str]| named_to(None, forwarded, &["10.0.0.0/8"]);
        assert_eq!(named(&[]), "unix");
        assert_eq!(named(&["198.51.100.1, 203.0.113.9"]), "203.0.113.9");
        assert_eq!(named(&["203.0.113.9, 10.0.0.2"]), "203.0.113.9");
        assert_eq!(named(&["unknown"]), "unix");
    }

    #[test]
    fn addresses_that_are_mapped_into_ipv6_are_compared_as_ipv4() {
        let mapped = ["::ffff:10.0.0.0/104"];
        assert_eq!(
            named("10.0.0.1:7", &["203.0.113.9"], &mapped),
            "203.0.113.9"
        );
        let mapped = ["::ffff:10.0.0.1"];
        let peer = "[::ffff:10.0.0.1]:7";
        assert_eq!(named(peer, &["::ffff:203.0.113.9"], &mapped), "203.0.113.9");
        assert_eq!(named("[::ffff:10.0.0.1]:7", &[], &[]), "10.0.0.1:7");
        // Everything that is IPv6 is still IPv6.
        let all = ["::/0"];
        assert_eq!(
            named("[2001:db8::1]:7", &["203.0.113.9"], &all),
            "203.0.113.9"
        );
    }

    #[test]
    fn what_is_no_network_is_named() {
        for text in ["10.0.0.0/33", "localhost", ""] {
            assert_eq!(TrustedProxies::new([text]).unwrap_err().text, text);
        }
    }
}
