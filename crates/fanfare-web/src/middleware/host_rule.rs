//! Which names a server answers to.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header;
use fanfare_layer::Throttle;

use super::authority::{Port, is_in_domain, latin1, split_authority};
use crate::refusal::{Code, Refusal};

/// What of a refused name is logged, in characters.
const SHOWN: usize = 200;

/// Which hosts a server answers to, by the header `Host`. A page whose name in DNS was made to lead
/// to this server (DNS rebinding) has a host of its own, and its browser takes the server's answers
/// for the page's.
///
/// Names of this machine always count: `localhost`, names below it, and loopback addresses. A request
/// without a host comes from no browser and passes. Case and port do not matter.
///
/// | pattern | allows |
/// |---|---|
/// | `a.com`, `203.0.113.7`, `[2001:db8::1]` | that host |
/// | `.a.com` | that host and every host below it |
/// | `*` | every host |
///
/// ```
/// use fanfare_consumer::middleware::HostRule;
///
/// let rule = HostRule::local().and([".example.com"]);
/// assert!(rule.allows("www.example.com:8443"));
/// assert!(rule.allows("127.0.0.1:8000"));
/// assert!(!rule.allows("rebound.example.net:8000"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostRule {
    /// Lowercase, without brackets and ports.
    patterns: Vec<String>,
}

/// Why a request is not answered because of what it says it is for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HostRefused {
    /// The rule does not allow the host.
    #[error("this server does not answer to the host {0:?}")]
    Denied(String),
    /// A header that names one thing is there twice.
    #[error("the request has several {0} headers")]
    Several(&'static str),
    /// The target of the request line names another host than the header.
    #[error("the target of the request and its Host header name different hosts")]
    Disagree,
    /// No host at all.
    #[error("the Host header is not a host")]
    Malformed,
}

impl HostRule {
    /// Allows every host.
    pub fn any() -> Self {
        Self::local().and(["*"])
    }

    /// Allows the names of this machine alone.
    pub fn local() -> Self {
        Self {
            patterns: Vec::new(),
        }
    }

    /// Allows what these patterns allow too. A scheme and a port in a pattern do not matter, so the
    /// patterns of [`OriginRule`](super::OriginRule) are patterns here.
    #[must_use]
    pub fn and<S: AsRef<str>>(mut self, patterns: impl IntoIterator<Item = S>) -> Self {
        let hosts = patterns.into_iter().filter_map(|pattern| {
            let pattern = pattern.as_ref();
            let authority = pattern.split_once("://").map_or(pattern, |(_, rest)| rest);
            split_authority(authority).0
        });
        self.patterns.extend(hosts);
        self
    }

    /// Whether requests for this host, with or without a port, are answered.
    pub fn allows(&self, host: &str) -> bool {
        let (Some(host), _) = split_authority(host) else {
            return false;
        };
        let host = host.strip_suffix('.').unwrap_or(&host);
        is_local(host)
            || self.patterns.iter().any(|pattern| {
                let pattern = pattern.strip_suffix('.').unwrap_or(pattern);
                pattern == "*" || is_in_domain(host, pattern)
            })
    }

    /// Checks what a request says it is for.
    ///
    /// # Errors
    /// [`HostRefused`]. A host that is not allowed is logged, not more often than every few seconds.
    pub fn check(&self, request: &HttpRequest) -> Result<(), HostRefused> {
        let Some(host) = host(request)? else {
            return Ok(());
        };
        if self.allows(&host) {
            return Ok(());
        }
        static TOLD: Throttle = Throttle::new();
        let host: String = host.chars().take(SHOWN).collect();
        if let Some(times) = TOLD.admit(1) {
            tracing::warn!(?host, times, "refused a request because of its host");
        }
        Err(HostRefused::Denied(host))
    }
}

/// The one host that a request names.
///
/// # Errors
/// [`HostRefused`], but for [`HostRefused::Denied`].
pub(super) fn host(request: &HttpRequest) -> Result<Option<String>, HostRefused> {
    let mut headers = request.headers().get_all(header::HOST);
    let header = headers.next().map(|value| latin1(value.as_bytes()));
    if headers.next().is_some() {
        return Err(HostRefused::Several("Host"));
    }
    let target = request.uri().authority();
    if let (Some(header), Some(target)) = (&header, target)
        && !is_same(header, target.as_str(), request.uri().scheme_str())
    {
        return Err(HostRefused::Disagree);
    }
    let host = header.or_else(|| target.map(ToString::to_string));
    if host.as_deref().is_some_and(is_malformed) {
        return Err(HostRefused::Malformed);
    }
    Ok(host.filter(|host| !host.is_empty()))
}

/// Browsers and proxies send no user; a broken port hides what is meant.
fn is_malformed(host: &str) -> bool {
    host.contains(['@', '/', '\\', ' ', ',']) || split_authority(host).1 == Port::Broken
}

/// Whether two authorities are one; the scheme says what a missing port is.
fn is_same(header: &str, target: &str, scheme: Option<&str>) -> bool {
    let usual = match scheme {
        Some("https" | "wss") => 443,
        _ => 80,
    };
    let parts = |authority: &str| match split_authority(authority) {
        (host, Port::Absent) => (host, Port::Number(usual)),
        parts => parts,
    };
    parts(header) == parts(target) && !target.contains('@')
}

fn is_local(host: &str) -> bool {
    host == "localhost"
        || host.ends_with(".localhost")
        || host
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

impl From<HostRefused> for Refusal {
    fn from(error: HostRefused) -> Self {
        let code = match error {
            HostRefused::Denied(_) => Code::HostDenied,
            HostRefused::Several(_) | HostRefused::Disagree | HostRefused::Malformed => {
                Code::BadHeader
            }
        };
        Self::new(code, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn names_of_this_machine_always_count() {
        let rule = HostRule::local();
        for host in [
            "localhost",
            "localhost:8000",
            "LocalHost.:1",
            "a.localhost",
            "127.0.0.1",
            "127.9.8.7:80",
            "[::1]:8000",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(rule.allows(host), "{host}");
        }
        for host in [
            "evil.example",
            "evil.localhost.example:8000",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "0.0.0.0:8000",
            "192.168.0.1",
            "[2001:db8::1]",
            "",
        ] {
            assert!(!rule.allows(host), "{host}");
        }
    }

    #[test]
    fn patterns_allow_a_host_and_with_a_dot_those_below_it() {
        let rule = HostRule::local().and([
            "a.com",
            ".B.com",
            "https://c.com:8443",
            "[2001:db8::1]",
            "203.0.113.7",
        ]);
        for host in [
            "A.com:1",
            "a.com.",
            "b.com",
            "x.y.b.com",
            "c.com",
            "[2001:db8::1]:80",
            "203.0.113.7",
        ] {
            assert!(rule.allows(host), "{host}");
        }
        for host in ["x.a.com", "ab.com", "d.com", "a.com.evil.example"] {
            assert!(!rule.allows(host), "{host}");
        }
        assert!(HostRule::any().allows("whatever.example:1"));
    }

    #[test]
    fn a_request_names_one_host() {
        let named = |request: TestRequest| host(&request.to_http_request());
        let get = |uri: &str| TestRequest::with_uri(uri);
        let with = |uri: &str, value: &'static str| get(uri).insert_header(("host", value));
        assert_eq!(named(get("/")), Ok(None));
        assert_eq!(named(with("/", "a.com")), Ok(Some("a.com".into())));
        let twice = with("/", "a.com").append_header(("host", "a.com"));
        assert_eq!(named(twice), Err(HostRefused::Several("Host")));
        let absolute = "http://a.com:8000/x";
        assert_eq!(
            named(with(absolute, "A.com:8000")),
            Ok(Some("A.com:8000".into()))
        );
        assert_eq!(
            named(with("http://a.com/x", "a.com:80")),
            Ok(Some("a.com:80".into()))
        );
        assert_eq!(named(get(absolute)), Ok(Some("a.com:8000".into())));
        for host in ["b.com:8000", "a.com", "a.com:8001"] {
            assert_eq!(
                named(with(absolute, host)),
                Err(HostRefused::Disagree),
                "{host}"
            );
        }
        for host in ["evil@localhost", "a b", "localhost, evil", "a.com:x"] {
            assert_eq!(
                named(with("/", host)),
                Err(HostRefused::Malformed),
                "{host}"
            );
        }
    }

    #[test]
    fn a_refusal_says_whether_the_host_or_the_request_is_wrong() {
        let status = |error: HostRefused| Refusal::from(error).status().as_u16();
        assert_eq!(status(HostRefused::Denied("x".into())), 421);
        assert_eq!(status(HostRefused::Several("Host")), 400);
        let request = TestRequest::default().insert_header(("host", "evil.example:8000"));
        let denied = HostRule::local().check(&request.to_http_request());
        assert_eq!(denied, Err(HostRefused::Denied("evil.example:8000".into())));
    }
}
