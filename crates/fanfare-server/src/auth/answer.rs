//! What an answer of the application means.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use fanfare_node::Identity;
use fanfare_protocol::GroupName;
use http::StatusCode;
use http::header::{HeaderMap, LOCATION};
use serde::Deserialize;
use serde_json::Value;

/// The application's decision about a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Let it in.
    Accepted(Arc<Identity>),
    /// Do not.
    Refused(Denial),
}

/// How the application refused a client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denial {
    /// With 401.
    NotAuthenticated,
    /// With 403, or by sending it to another page, such as that of the login.
    NotAllowed,
}

/// The object that the application answers; other keys in it are its own affair.
#[derive(Deserialize)]
struct Object {
    user: Value,
    #[serde(default)]
    groups: Option<Vec<String>>,
}

/// Reads an answer.
///
/// # Errors
/// What is wrong with one that decides nothing, in words for the log.
pub(super) fn read(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Verdict, String> {
    match status {
        StatusCode::NO_CONTENT => Ok(Verdict::Accepted(Arc::default())),
        StatusCode::OK if body.is_empty() => Ok(Verdict::Accepted(Arc::default())),
        StatusCode::OK => identity(body).map(|identity| Verdict::Accepted(Arc::new(identity))),
        StatusCode::UNAUTHORIZED => Ok(Verdict::Refused(Denial::NotAuthenticated)),
        StatusCode::FORBIDDEN
        | StatusCode::FOUND
        | StatusCode::SEE_OTHER
        | StatusCode::TEMPORARY_REDIRECT => Ok(Verdict::Refused(Denial::NotAllowed)),
        // Not about this client: a slash or a scheme is missing in the URL.
        StatusCode::MOVED_PERMANENTLY | StatusCode::PERMANENT_REDIRECT => Err(format!(
            "status {}: the URL has moved to {:?}",
            status.as_u16(),
            target(headers)
        )),
        other => Err(format!("status {}", other.as_u16())),
    }
}

/// Where a redirect leads, without its query: that may say whom it is for.
pub(super) fn target(headers: &HeaderMap) -> &str {
    let location = headers.get(LOCATION).and_then(|value| value.to_str().ok());
    let path = location.and_then(|location| location.split(['?', '#']).next());
    path.unwrap_or_default()
}

fn identity(body: &[u8]) -> Result<Identity, String> {
    let object: Object = serde_json::from_slice(body)
        .map_err(|error| format!("the body is no {{\"user\": .., \"groups\": [..]}}: {error}"))?;
    let id = match object.user {
        Value::Null => None,
        Value::String(id) => Some(id),
        Value::Number(id) if !id.is_f64() => Some(id.to_string()),
        _ => return Err("user must be text, an integer or null".to_owned()),
    };
    let user = match id {
        Some(id) => Identity::of_user(&id).map_err(|error| error.to_string())?,
        None => Identity::default(),
    };
    let mut seen = HashSet::new();
    let mut groups = Vec::new();
    for name in object.groups.unwrap_or_default() {
        let group = GroupName::parse(&name).map_err(|error| error.to_string())?;
        if name.starts_with("fanfare.") {
            return Err(format!(
                "group name {name:?}: those that start with \"fanfare.\" are the server's own"
            ));
        }
        if seen.insert(group.clone()) {
            groups.push(group);
        }
    }
    Ok(user.with_groups(groups))
}

impl fmt::Display for Denial {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Self::NotAuthenticated => "the application does not know who you are",
            Self::NotAllowed => "the application does not let you in here",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(status: u16, body: &str) -> Result<Verdict, String> {
        let status = StatusCode::from_u16(status).unwrap();
        read(status, &HeaderMap::new(), body.as_bytes())
    }

    fn accepted(body: &str) -> Identity {
        match of(200, body) {
            Ok(Verdict::Accepted(identity)) => Arc::into_inner(identity).unwrap(),
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn a_user_is_text_or_an_integer_and_groups_count_once() {
        let found = accepted(r#"{"user": 42, "groups": ["a", "b", "a"], "more": {}}"#);
        assert_eq!(found.user(), Some("42"));
        let names: Vec<_> = found.groups().iter().map(GroupName::as_str).collect();
        assert_eq!(names, ["a", "b"]);
        let found = accepted(r#"{"user": null, "groups": ["user:42", "café", "ann@example.com"]}"#);
        let names: Vec<_> = found.groups().iter().map(GroupName::as_str).collect();
        assert_eq!(names, ["user:42", "café", "ann@example.com"]);
        let found = accepted(r#"{"user": "ann@example.com", "groups": null}"#);
        assert_eq!(found.user(), Some("ann@example.com"));
        assert_eq!(accepted(r#"{"user": null}"#), Identity::default());
        assert_eq!(accepted(""), Identity::default());
        let nobody = Verdict::Accepted(Arc::default());
        assert_eq!(of(204, ""), Ok(nobody));
    }

    #[test]
    fn refusals_and_passing_redirects_refuse() {
        let refused = |refusal| Ok(Verdict::Refused(refusal));
        assert_eq!(of(401, "no"), refused(Denial::NotAuthenticated));
        for status in [403, 302, 303, 307] {
            assert_eq!(of(status, "no"), refused(Denial::NotAllowed), "{status}");
        }
    }

    #[test]
    fn what_says_nothing_is_no_decision() {
        for status in [201, 206, 301, 304, 308, 400, 404, 405, 429, 500, 502, 503] {
            let what = of(status, r#"{"user": 1}"#).unwrap_err();
            assert!(what.contains(&status.to_string()), "{what}");
        }
        for (body, part) in [
            ("<html>", "the body is no"),
            ("[]", "the body is no"),
            ("null", "the body is no"),
            ("{}", "user"),
            (r#"{"groups": ["a"]}"#, "user"),
            (r#"{"user": 1.5}"#, "user must be"),
            (r#"{"user": true}"#, "user must be"),
            (r#"{"user": {"id": 1}}"#, "user must be"),
            (r#"{"user": ""}"#, "empty or too long"),
            (r#"{"user": 1, "groups": "a"}"#, "the body is no"),
            (r#"{"user": 1, "groups": [1]}"#, "the body is no"),
            (r#"{"user": 1, "groups": ["a\u0007b"]}"#, "U+0007"),
            (r#"{"user": 1, "groups": [""]}"#, "0 bytes"),
            (r#"{"user": 1, "groups": ["fanfare.all"]}"#, "server's own"),
        ] {
            let what = of(200, body).unwrap_err();
            assert!(what.contains(part), "{body}: {what}");
        }
    }

    #[test]
    fn the_target_of_a_redirect_is_named_without_its_query() {
        let mut headers = HeaderMap::new();
        assert_eq!(target(&headers), "");
        headers.insert(LOCATION, "/login/?next=/ws/&token=x".parse().unwrap());
        assert_eq!(target(&headers), "/login/");
        let what = read(StatusCode::MOVED_PERMANENTLY, &headers, b"").unwrap_err();
        assert!(
            what.contains("/login/") && !what.contains("token"),
            "{what}"
        );
    }
}
