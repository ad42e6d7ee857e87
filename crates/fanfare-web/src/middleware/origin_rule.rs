//! The rule for origins that may open a WebSocket.

use actix_web::HttpRequest;
use actix_web::http::header;

use super::authority::{Port, is_in_domain, latin1, split_authority};
use super::host_rule::host;
use crate::refusal::{Code, Refusal};

/// The values of the header `Origin` that are allowed. The default allows a request without an
/// origin, and an origin with the host and port that the request was sent to.
///
/// Patterns replace the default. At least one must match. Case does not matter:
///
/// | pattern | allows |
/// |---|---|
/// | `a.com` | that host, any scheme and port |
/// | `.a.com` | that host and every host below it |
/// | `a.com:8080` | that host with that port, any scheme |
/// | `http://a.com` | that scheme, host and port (80, since none is given) |
/// | `*` | everything, also a request without an origin |
///
/// ```
/// use fanfare_consumer::middleware::OriginRule;
///
/// let rule = OriginRule::patterns(["https://app.example.com", ".example.org"]);
/// assert!(rule.allows(Some("https://app.example.com"), None));
/// assert!(!rule.allows(Some("http://app.example.com"), None));
/// assert!(!rule.allows(None, None));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OriginRule {
    /// Lowercase; `None` is the default rule.
    patterns: Option<Vec<String>>,
}

/// A request whose origin is not allowed. The text names the origin, not what would be allowed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the origin {origin:?} is not allowed")]
pub struct OriginDenied {
    /// The origin as it was sent, decoded as Latin-1. `none` if there was none.
    pub origin: String,
}

impl OriginRule {
    /// The default rule.
    pub fn same_host() -> Self {
        Self::default()
    }

    /// Allows what at least one of these patterns allows. An empty list allows nothing.
    pub fn patterns<S: AsRef<str>>(patterns: impl IntoIterator<Item = S>) -> Self {
        let patterns = patterns.into_iter();
        let lowercase = patterns.map(|pattern| pattern.as_ref().to_lowercase());
        Self {
            patterns: Some(lowercase.collect()),
        }
    }

    /// Whether a request with this `Origin` and `Host` is allowed.
    pub fn allows(&self, origin: Option<&str>, host: Option<&str>) -> bool {
        let Some(patterns) = &self.patterns else {
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

    /// Checks the headers of a request. Of several `Origin` headers, and where a request names
    /// several hosts, none is believed.
    ///
    /// # Errors
    /// [`OriginDenied`], which is logged with the path of the request.
    pub fn check(&self, request: &HttpRequest) -> Result<(), OriginDenied> {
        // Neither need be ASCII.
        let mut origins = request.headers().get_all(header::ORIGIN);
        let origin = origins.next().map(|value| latin1(value.as_bytes()));
        let is_one = origins.next().is_none();
        if let (true, Ok(host)) = (is_one, host(request))
            && self.allows(origin.as_deref(), host.as_deref())
        {
            return Ok(());
        }
        let origin = origin.unwrap_or_else(|| "none".into());
        let path = request.path();
        tracing::warn!(origin, path, "refused a request because of its origin");
        Err(OriginDenied { origin })
    }
}

impl From<OriginDenied> for Refusal {
    fn from(denied: OriginDenied) -> Self {
        Self::new(Code::OriginDenied, denied.to_string())
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
