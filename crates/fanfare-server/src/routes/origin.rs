//! Which origins may open a WebSocket.

/// The rule of this server. Patterns, one of which must match:
///
/// | pattern | allows |
/// |---|---|
/// | `a.com` | that host, any scheme and port |
/// | `.a.com` | that host and every host below it |
/// | `a.com:8080` | that host with that port, any scheme |
/// | `http://a.com` | that scheme, host and port (80, since none is given) |
/// | `*` | everything, also a request without an origin |
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum OriginRule {
    /// No origin at all, or the host and port that the request was sent to.
    SameHost,
    /// One of the patterns.
    Patterns(Vec<String>),
}

impl OriginRule {
    /// `None` is the default rule; a list replaces it, an empty one allows nothing.
    pub(crate) fn new(patterns: Option<&[String]>) -> Self {
        match patterns {
            None => Self::SameHost,
            Some(patterns) => Self::Patterns(
                patterns
                    .iter()
                    .map(|pattern| pattern.to_lowercase())
                    .collect(),
            ),
        }
    }

    /// Whether a request with this `Origin` and `Host` is allowed.
    pub(crate) fn allows(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Self::Patterns(patterns) = self else {
            return origin.is_none_or(|origin| is_same_host(origin, host));
        };
        let origin = origin.map(Parts::of);
        patterns.iter().any(|pattern| {
            pattern == "*"
                || origin
                    .as_ref()
                    .is_some_and(|origin| origin.matches(pattern))
        })
    }
}

/// A URL as far as the rules look at it.
#[derive(Debug, PartialEq, Eq)]
struct Parts {
    scheme: Option<String>,
    /// Lowercase, without brackets; never empty.
    host: Option<String>,
    port: Port,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Port {
    Absent,
    Number(u16),
    /// No number of a port: equal to no port.
    Broken,
}

impl Parts {
    /// Without `//` there is no host: `null`, `a.com`, an empty string.
    fn of(url: &str) -> Self {
        let (before, rest) = url.split_once("//").unwrap_or((url, ""));
        let scheme = before.strip_suffix(':').map(str::to_lowercase);
        let scheme = scheme.filter(|scheme| !scheme.is_empty());
        if !url.contains("//") || (scheme.is_none() && !before.is_empty()) {
            return Self {
                scheme: None,
                host: None,
                port: Port::Absent,
            };
        }
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let (host, port) = split_authority(authority);
        Self { scheme, host, port }
    }

    /// `pattern` is lowercase.
    fn matches(&self, pattern: &str) -> bool {
        let Some(host) = &self.host else { return false };
        if pattern.contains("://") {
            let pattern = Self::of(pattern);
            let port = self.effective_port();
            return pattern.scheme == self.scheme
                && port != Port::Broken
                && port == pattern.effective_port()
                && pattern
                    .host
                    .is_some_and(|domain| is_in_domain(host, &domain));
        }
        let (domain, port) = split_authority(pattern);
        let port_fits = match port {
            Port::Absent => true,
            Port::Broken => false,
            number @ Port::Number(_) => number == self.effective_port(),
        };
        port_fits && domain.is_some_and(|domain| is_in_domain(host, &domain))
    }

    fn effective_port(&self) -> Port {
        match (self.port, self.scheme.as_deref()) {
            (Port::Absent, Some("http" | "ws")) => Port::Number(80),
            (Port::Absent, Some("https" | "wss")) => Port::Number(443),
            (port, _) => port,
        }
    }
}

/// A host without a port has the one that goes with the origin's scheme: behind a proxy that ends
/// TLS, the connection's own scheme is not the one that the client used.
fn is_same_host(origin: &str, host: Option<&str>) -> bool {
    let origin = Parts::of(origin);
    let (name, port) = split_authority(host.unwrap_or_default());
    let host = Parts {
        scheme: origin.scheme.clone(),
        host: name,
        port,
    };
    origin.host.is_some()
        && origin.host == host.host
        && origin.effective_port() != Port::Broken
        && origin.effective_port() == host.effective_port()
}

fn is_in_domain(host: &str, domain: &str) -> bool {
    match domain.strip_prefix('.') {
        Some(parent) => host == parent || host.ends_with(domain),
        None => host == domain,
    }
}

/// Host, without user information and brackets, and port.
fn split_authority(authority: &str) -> (Option<String>, Port) {
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Pattern, origin, allowed: every row of the Channels model's table, and `host:port`, which
    /// never matches there and means what it says here.
    const TABLE: &[(&str, Option<&str>, bool)] = &[
        ("a.com", Some("http://a.com"), true),
        ("a.com", Some("https://a.com:8443"), true),
        ("a.com", Some("http://sub.a.com"), false),
        ("a.com", Some("http://a.com."), false),
        (".a.com", Some("http://a.com"), true),
        (".a.com", Some("http://x.y.a.com"), true),
        (".a.com", Some("http://ba.com"), false),
        ("*.a.com", Some("http://b.a.com"), false),
        ("http://*.a.com", Some("http://b.a.com"), false),
        ("http://a.com", Some("http://a.com:80"), true),
        ("http://a.com:80", Some("http://a.com"), true),
        ("http://a.com", Some("https://a.com"), false),
        ("http://a.com", Some("http://a.com:8080"), false),
        ("http://.a.com", Some("http://x.y.a.com"), true),
        ("ws://a.com", Some("http://a.com"), false),
        ("a.com", Some("http://a.com:99999"), true),
        ("http://a.com", Some("http://a.com:99999"), false),
        ("http://a.com", Some("http://a.com:x"), false),
        ("a.com:8080", Some("http://a.com:8080"), true),
        ("a.com:8080", Some("https://a.com:8080"), true),
        ("a.com:8080", Some("http://a.com"), false),
        ("a.com:8080", Some("http://a.com:8081"), false),
        ("a.com:443", Some("https://a.com"), true),
        ("localhost:8080", Some("http://localhost:8080"), true),
        ("[::1]:8080", Some("http://[::1]:8080"), true),
        ("[::1]:8080", Some("http://[::1]:80"), false),
        ("A.com", Some("http://a.com"), true),
        ("HTTP://A.com", Some("http://a.com"), true),
        ("a.com", Some("http://A.COM"), true),
        ("a.com", Some(""), false),
        ("a.com", Some("null"), false),
        ("null", Some("null"), false),
        ("a.com", Some("file://"), false),
        ("file://", Some("file://"), false),
        ("a.com", Some("a.com"), false),
        ("a.com", Some("a.com:80"), false),
        ("*", Some("http://anything"), true),
        ("*", Some("file://"), true),
        ("*", Some(""), true),
        ("*", None, true),
        ("a.com", None, false),
        ("[::1]", Some("http://[::1]:8000"), true),
        ("127.0.0.1", Some("http://127.0.0.1:8000"), true),
        ("https://a.com", Some("https://a.com:443"), true),
        ("ftp://a.com", Some("ftp://a.com"), true),
        (
            "chrome-extension://abc",
            Some("chrome-extension://abc"),
            true,
        ),
        ("a.com", Some("http://user:pass@a.com/path?query"), true),
        ("a.com", Some("http://a.com@evil.com"), false),
        ("", Some("http://a.com"), false),
    ];

    #[test]
    fn the_patterns_allow_exactly_what_their_table_says() {
        for &(pattern, origin, allowed) in TABLE {
            let rule = OriginRule::new(Some(&[pattern.to_owned()]));
            assert_eq!(
                rule.allows(origin, Some("a.com")),
                allowed,
                "{pattern:?} {origin:?}"
            );
        }
    }

    #[test]
    fn one_of_several_patterns_is_enough_and_none_allows_nothing() {
        let rule = OriginRule::new(Some(&["b.com".to_owned(), "a.com".to_owned()]));
        assert!(rule.allows(Some("http://a.com"), None));
        let nothing = OriginRule::new(Some(&[]));
        assert!(!nothing.allows(Some("http://a.com"), Some("a.com")));
        assert!(!nothing.allows(None, Some("a.com")));
    }

    #[test]
    fn by_default_an_origin_is_absent_or_has_the_hosts_name_and_port() {
        let rule = OriginRule::new(None);
        for (origin, host, allowed) in [
            (None, Some("a.com"), true),
            (Some("http://a.com"), Some("a.com"), true),
            (Some("http://A.com"), Some("a.COM"), true),
            (Some("http://a.com"), Some("a.com:80"), true),
            (Some("http://a.com:80"), Some("a.com"), true),
            (Some("https://a.com"), Some("a.com"), true),
            (Some("https://a.com"), Some("a.com:443"), true),
            (Some("http://a.com:8000"), Some("a.com:8000"), true),
            (Some("http://[::1]:8000"), Some("[::1]:8000"), true),
            (Some("http://a.com:8001"), Some("a.com:8000"), false),
            (Some("https://a.com"), Some("a.com:80"), false),
            (Some("http://b.com"), Some("a.com"), false),
            (Some("http://sub.a.com"), Some("a.com"), false),
            (Some("http://a.com:x"), Some("a.com:x"), false),
            (Some("null"), Some("null"), false),
            (Some("file://"), Some(""), false),
            (Some(""), None, false),
            (Some("http://a.com"), None, false),
        ] {
            assert_eq!(rule.allows(origin, host), allowed, "{origin:?} {host:?}");
        }
    }
}
