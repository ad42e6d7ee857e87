//! One spelling for each path, so that whoever authorises by a path and whoever routes by it mean the
//! same one.
//!
//! Two spellings are one path if they differ in percent-encoding only. The canonical one encodes
//! what a segment cannot hold as it is (RFC 3986 §3.3), and nothing else. All other differences
//! count: case, Unicode forms, slashes. A listener [respells](respell) each handshake before the App
//! sees it. [`is_canonical`] tells a route whether that was possible.

use actix_web::http::Uri;
use actix_web::http::uri::PathAndQuery;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, utf8_percent_encode};

/// The characters that have no meaning of their own anywhere in a URI stay as they are.
pub const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// What a segment of a path holds as it is: `pchar` of RFC 3986.
const SEGMENT: &AsciiSet = &UNRESERVED
    .remove(b'!')
    .remove(b'$')
    .remove(b'&')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b'*')
    .remove(b'+')
    .remove(b',')
    .remove(b';')
    .remove(b'=')
    .remove(b':')
    .remove(b'@');

/// The canonical spelling of a path. `None` for a path that means different things to different
/// readers: with an empty segment in it, with `.` or `..` as a segment, with a control character,
/// with bytes that are not UTF-8, or with a `%` that encodes nothing.
pub fn canonical(path: &str) -> Option<String> {
    let inner = path.strip_prefix('/')?;
    let (segments, end) = match inner.strip_suffix('/') {
        Some(segments) => (segments, "/"),
        None => (inner, ""),
    };
    let mut spelled = String::with_capacity(path.len());
    if !inner.is_empty() {
        for segment in segments.split('/') {
            spelled.push('/');
            spelled.extend(utf8_percent_encode(&meaning(segment)?, SEGMENT));
        }
    }
    spelled.push_str(if inner.is_empty() { "/" } else { end });
    Some(spelled)
}

/// What a segment means. It is decoded once.
fn meaning(segment: &str) -> Option<String> {
    let mut escapes = segment.split('%');
    escapes.next();
    let encodes = |escape: &str| {
        let digits = escape.as_bytes().first_chunk::<2>();
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    };
    if !escapes.all(encodes) {
        return None;
    }
    let decoded = percent_decode(segment.as_bytes()).decode_utf8().ok()?;
    let unclear = matches!(&*decoded, "" | "." | "..") || decoded.contains(char::is_control);
    (!unclear).then(|| decoded.into_owned())
}

/// Whether a path is spelled in the canonical way.
pub fn is_canonical(path: &str) -> bool {
    canonical(path).is_some_and(|spelled| spelled == path)
}

/// Gives a URI the canonical spelling of its path. A path that has none stays as it is.
pub fn respell(uri: &mut Uri) {
    let Some(path) = canonical(uri.path()).filter(|path| path != uri.path()) else {
        return;
    };
    let text = match uri.query() {
        Some(query) => format!("{path}?{query}"),
        None => path,
    };
    let mut parts = uri.clone().into_parts();
    let Ok(spelled) = PathAndQuery::try_from(text) else {
        return;
    };
    parts.path_and_query = Some(spelled);
    if let Ok(spelled) = Uri::from_parts(parts) {
        *uri = spelled;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_has_one_spelling_whatever_is_percent_encoded_in_it() {
        for (path, due) in [
            ("/", "/"),
            ("/ws/echo", "/ws/echo"),
            ("/ws/echo/", "/ws/echo/"),
            ("/ws/%65cho/", "/ws/echo/"),
            ("/%77%73/%65%63%68%6F", "/ws/echo"),
            ("/a%2db%2Ec%5F%7e", "/a-b.c_~"),
            ("/user:42", "/user:42"),
            ("/user%3a42", "/user:42"),
            ("/a;b=c,d@e+f", "/a;b=c,d@e+f"),
            ("/a%3Bb%3dc%2Cd%40e%2Bf", "/a;b=c,d@e+f"),
            ("/a%2fb/", "/a%2Fb/"),
            ("/a%252Fb", "/a%252Fb"),
            ("/a%2541", "/a%2541"),
            ("/caf%c3%a9", "/caf%C3%A9"),
            ("/café", "/caf%C3%A9"),
            ("/cafe%cc%81", "/cafe%CC%81"),
            ("/a b\"", "/a%20b%22"),
            ("/a\\b", "/a%5Cb"),
            ("/WS/Echo", "/WS/Echo"),
            ("/...", "/..."),
        ] {
            assert_eq!(canonical(path).as_deref(), Some(due), "{path}");
            assert!(is_canonical(due), "{due}");
            assert_eq!(is_canonical(path), path == due, "{path}");
        }
    }

    #[test]
    fn a_path_that_readers_take_differently_has_no_spelling() {
        for path in [
            "",
            "*",
            "ws",
            "//",
            "//ws",
            "/ws//",
            "/ws//a",
            "/.",
            "/./ws",
            "/ws/..",
            "/ws/../a",
            "/ws/%2e%2E/a",
            "/ws/.%2e/",
            "/%00",
            "/a%0a",
            "/a%0D%0Ab",
            "/a%7f",
            "/a%C2%85",
            "/%ff",
            "/%c3%28",
            "/%",
            "/%4",
            "/%zz",
            "/%%34%31",
            "/a%u0073",
        ] {
            assert_eq!(canonical(path), None, "{path:?}");
            assert!(!is_canonical(path), "{path:?}");
        }
    }

    #[test]
    fn a_uri_keeps_what_is_not_its_path() {
        for (uri, due) in [
            ("/ws/%61/?x=%61&y=/../", "/ws/a/?x=%61&y=/../"),
            ("http://host:8000/%61?x", "http://host:8000/a?x"),
            ("/ws/../a?x=1", "/ws/../a?x=1"),
            ("host:443", "host:443"),
        ] {
            let mut uri: Uri = uri.parse().unwrap();
            respell(&mut uri);
            assert_eq!(uri.to_string(), due);
        }
    }
}
