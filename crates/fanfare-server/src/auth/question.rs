//! What the application gets to see of a handshake.

use std::borrow::Cow;

use actix_web::HttpRequest;
use actix_web::http::header as web;
use fanfare_node::Network;
use fanfare_protocol::GroupName;
use fanfare_web::spelling::UNRESERVED;
use fanfare_web::template::PathTemplate;
use fanfare_web::{Client, Request};
use http::header::{
    ACCEPT, ACCEPT_LANGUAGE, AUTHORIZATION, COOKIE, HeaderMap, HeaderName, HeaderValue, ORIGIN,
    USER_AGENT,
};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use ring::hmac;

const PATH: HeaderName = HeaderName::from_static("x-fanfare-path");
const ROUTE: HeaderName = HeaderName::from_static("x-fanfare-route");
const PARAMS: HeaderName = HeaderName::from_static("x-fanfare-params");
const GROUPS: HeaderName = HeaderName::from_static("x-fanfare-groups");
const ORIGINAL_URI: HeaderName = HeaderName::from_static("x-original-uri");
const ORIGINAL_METHOD: HeaderName = HeaderName::from_static("x-original-method");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The client's own headers that the application gets, besides its cookies.
const PASSED: [HeaderName; 4] = [AUTHORIZATION, ORIGIN, USER_AGENT, ACCEPT_LANGUAGE];

/// What the template of a route cannot have in a header; `%` marks what is encoded.
const TEMPLATE: &AsciiSet = &CONTROLS.add(b'%');

/// Stands for a question; cookies and tokens cannot be read from it.
pub(super) type Key = [u8; 32];

/// Fresh in every process, so that keys mean nothing elsewhere.
pub(super) struct Secret(hmac::Key);

/// The headers of a request to the application. All that an answer can depend on is in here, and
/// so is all that tells two questions apart.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    headers: HeaderMap,
    /// The address of the client, which has its share of the turns.
    asking: Option<Network>,
}

/// What the server has decided about a handshake before it asks. The application authorises this,
/// because it is what the session gets.
pub(crate) struct Decided<'a> {
    /// The path of the route.
    pub(crate) route: &'a PathTemplate,
    /// The groups of the route that the session is going to join.
    pub(crate) groups: &'a [GroupName],
}

/// A query that has bytes which no header can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the query has a control character")]
pub(crate) struct Unspeakable;

impl Secret {
    pub(super) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 32];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &bytes)))
    }
}

impl Question {
    /// The question that a client's request is.
    ///
    /// # Errors
    /// [`Unspeakable`].
    pub(crate) fn new(
        request: &Request,
        client: &Client,
        decided: &Decided<'_>,
    ) -> Result<Self, Unspeakable> {
        let path = decided.route.canonical(request.uri().path());
        let uri = match request.uri().query() {
            Some(query) => format!("{path}?{query}").into(),
            None => Cow::Borrowed(&*path),
        };
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ORIGINAL_URI, value(&uri)?);
        headers.insert(PATH, value(&path)?);
        let route = utf8_percent_encode(decided.route.as_str(), TEMPLATE).to_string();
        headers.insert(ROUTE, value(&route)?);
        let params = request.params();
        let params = params.map(|(name, value)| format!("{name}={}", encoded(&value)));
        headers.insert(PARAMS, value(&params.collect::<Vec<_>>().join("&"))?);
        let groups = decided.groups.iter();
        let groups = groups.map(|group| encoded(group.as_str()));
        headers.insert(GROUPS, value(&groups.collect::<Vec<_>>().join(","))?);
        headers.insert(ORIGINAL_METHOD, HeaderValue::from_static("GET"));
        if let Some(cookies) = cookies(request) {
            headers.insert(COOKIE, cookies);
        }
        for name in PASSED {
            for value in values(request, &name) {
                headers.append(name.clone(), value);
            }
        }
        forwarded(request, client, &mut headers);
        Ok(Self {
            headers,
            asking: client.ip().map(Network::of),
        })
    }

    pub(super) fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    pub(super) fn asking(&self) -> Option<Network> {
        self.asking
    }

    /// The canonical path, for the log.
    pub(super) fn path(&self) -> &str {
        let path = self.headers.get(PATH).and_then(|path| path.to_str().ok());
        path.unwrap_or_default()
    }

    /// Equal for two handshakes that look the same to the application.
    pub(super) fn key(&self, secret: &Secret) -> Key {
        let mut context = hmac::Context::with_key(&secret.0);
        for (name, value) in &self.headers {
            // With their lengths in front, no two lists of parts are one text.
            for part in [name.as_str().as_bytes(), value.as_bytes()] {
                context.update(&part.len().to_be_bytes());
                context.update(part);
            }
        }
        let mut key = Key::default();
        for (to, from) in key.iter_mut().zip(context.sign().as_ref()) {
            *to = *from;
        }
        key
    }
}

/// A text in a list: whatever separates the parts of a list is encoded in the parts.
fn encoded(text: &str) -> String {
    utf8_percent_encode(text, UNRESERVED).to_string()
}

fn value(text: &str) -> Result<HeaderValue, Unspeakable> {
    HeaderValue::from_str(text).map_err(|_| Unspeakable)
}

/// Where the client is, and what it believes that it talks to. Only a proxy that is trusted, or is
/// a process of this machine on a Unix socket, says so for somebody else.
fn forwarded(request: &HttpRequest, client: &Client, headers: &mut HeaderMap) {
    if let Some(ip) = client.ip()
        && let Ok(ip) = HeaderValue::from_str(&ip.to_string())
    {
        headers.insert(FORWARDED_FOR, ip);
    }
    let told = |name: &HeaderName| match client {
        Client::Forwarded(_) | Client::Unix => values(request, name).next().and_then(nearest),
        Client::Peer(_) => None,
    };
    let host = || values(request, &http::header::HOST).next();
    if let Some(host) = told(&FORWARDED_HOST).or_else(host) {
        headers.insert(FORWARDED_HOST, host);
    }
    let proto = told(&FORWARDED_PROTO).unwrap_or(HeaderValue::from_static("http"));
    headers.insert(FORWARDED_PROTO, proto);
}

/// What the nearest proxy says, if each has added its own.
fn nearest(value: HeaderValue) -> Option<HeaderValue> {
    let last = value.as_bytes().rsplit(|byte| *byte == b',').next()?;
    HeaderValue::from_bytes(last.trim_ascii()).ok()
}

/// All cookies in one header, as clients must send them (RFC 6265 §5.4).
fn cookies(request: &HttpRequest) -> Option<HeaderValue> {
    let values: Vec<_> = values(request, &COOKIE).collect();
    let values: Vec<&[u8]> = values.iter().map(HeaderValue::as_bytes).collect();
    if values.is_empty() {
        return None;
    }
    HeaderValue::from_bytes(&values.join(&b"; "[..])).ok()
}

/// The values of a request's header; actix-web and hyper have a type of their own each.
fn values(request: &HttpRequest, name: &HeaderName) -> impl Iterator<Item = HeaderValue> {
    let name = web::HeaderName::from_bytes(name.as_str().as_bytes());
    let values = name.map(|name| request.headers().get_all(name));
    let values = values.into_iter().flatten();
    let convert = |value: &web::HeaderValue| HeaderValue::from_bytes(value.as_bytes()).ok();
    values.filter_map(convert).collect::<Vec<_>>().into_iter()
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use actix_web::test::TestRequest;

    use super::*;

    const PEER: &str = "192.0.2.1:5";

    fn request(headers: &[(&'static str, &'static str)]) -> Request {
        let mut request = TestRequest::with_uri("/ws/chat/a?x=1").param("room", "a");
        for header in headers {
            request = request.append_header(*header);
        }
        Request::new(request.to_http_request())
    }

    fn asking(request: &Request, client: &Client) -> Question {
        let groups = ["chat_a", "more"].map(|name| GroupName::parse(name).unwrap());
        let decided = Decided {
            route: &PathTemplate::parse("/ws/chat/{room}/").unwrap(),
            groups: &groups,
        };
        Question::new(request, client, &decided).unwrap()
    }

    fn text<'q>(question: &'q Question, name: &str) -> Option<&'q str> {
        question
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    }

    #[test]
    fn the_application_sees_the_path_the_cookies_and_who_asks() {
        let request = request(&[
            ("cookie", "a=1"),
            ("cookie", "b=2"),
            ("authorization", "Bearer t"),
            ("origin", "https://a.com"),
            ("host", "a.com"),
            ("x-original-uri", "/forged"),
            ("x-fanfare-path", "/forged"),
            ("x-fanfare-route", "/forged"),
            ("x-fanfare-params", "room=forged"),
            ("x-fanfare-groups", "forged"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-forwarded-proto", "https"),
            ("x-forwarded-host", "forged"),
            ("sec-websocket-key", "k"),
        ]);
        let client = Client::Peer(PEER.parse().unwrap());
        let question = asking(&request, &client);
        let names: Vec<_> = question.headers.keys().map(HeaderName::as_str).collect();
        assert_eq!(names.len(), 13, "{names:?}");
        for (name, value) in [
            ("accept", "application/json"),
            ("x-original-uri", "/ws/chat/a/?x=1"),
            ("x-original-method", "GET"),
            ("x-fanfare-path", "/ws/chat/a/"),
            ("x-fanfare-route", "/ws/chat/{room}/"),
            ("x-fanfare-params", "room=a"),
            ("x-fanfare-groups", "chat_a,more"),
            ("cookie", "a=1; b=2"),
            ("authorization", "Bearer t"),
            ("origin", "https://a.com"),
            ("x-forwarded-for", "192.0.2.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "a.com"),
        ] {
            assert_eq!(text(&question, name), Some(value), "{name}");
        }
        assert_eq!(question.path(), "/ws/chat/a/");
    }

    #[test]
    fn what_separates_the_parts_of_a_list_is_encoded_in_the_parts() {
        let uri = "/caf%C3%A9/a%2Fb,c&d=e%25/";
        let test = TestRequest::with_uri(uri).param("x", "a%2Fb,c&d=e%25");
        let request = Request::new(test.param("y", "é").to_http_request());
        let decided = Decided {
            route: &PathTemplate::parse("/{y:str}/{x:str}%").unwrap(),
            groups: &[],
        };
        let client = Client::Peer(PEER.parse().unwrap());
        let question = Question::new(&request, &client, &decided).unwrap();
        for (name, value) in [
            ("x-fanfare-path", "/caf%C3%A9/a%2Fb,c&d=e%25"),
            ("x-fanfare-route", "/{y:str}/{x:str}%25"),
            ("x-fanfare-params", "x=a%2Fb%2Cc%26d%3De%25&y=%C3%A9"),
            ("x-fanfare-groups", ""),
        ] {
            assert_eq!(text(&question, name), Some(value), "{name}");
        }
    }

    #[test]
    fn a_trusted_proxy_says_what_its_client_talks_to() {
        let request = request(&[
            ("host", "inner"),
            ("x-forwarded-proto", "evil, https"),
            ("x-forwarded-host", "evil.example,a.com"),
        ]);
        let client = Client::Forwarded(IpAddr::V4(Ipv4Addr::LOCALHOST));
        let question = asking(&request, &client);
        assert_eq!(text(&question, "x-forwarded-proto"), Some("https"));
        assert_eq!(text(&question, "x-forwarded-host"), Some("a.com"));
        assert_eq!(text(&question, "x-forwarded-for"), Some("127.0.0.1"));
    }

    #[test]
    fn everything_that_the_application_sees_tells_questions_apart_and_nothing_else_does() {
        let secret = Secret::random().unwrap();
        let client = Client::Peer(PEER.parse().unwrap());
        let key = |headers: &[(&'static str, &'static str)]| {
            asking(&request(headers), &client).key(&secret)
        };
        let plain = key(&[("cookie", "a=1")]);
        assert_eq!(plain, key(&[("cookie", "a=1"), ("sec-websocket-key", "k")]));
        assert_ne!(plain, key(&[("cookie", "a=2")]));
        assert_ne!(plain, key(&[("cookie", "a=1"), ("authorization", "b")]));
        assert_ne!(plain, key(&[("cookie", "a=1"), ("user-agent", "b")]));
        let elsewhere = Client::Peer("192.0.2.2:5".parse().unwrap());
        let other = asking(&request(&[("cookie", "a=1")]), &elsewhere);
        assert_ne!(plain, other.key(&secret));
        let port = Client::Peer("192.0.2.1:6".parse().unwrap());
        let same = asking(&request(&[("cookie", "a=1")]), &port);
        assert_eq!(plain, same.key(&secret));
        assert_ne!(plain, same.key(&Secret::random().unwrap()));
    }
}
