//! `[auth]`: the application that says who a client is.

use std::path::PathBuf;

use http::Uri;
use url::Url;

use super::reader::Reader;
use super::settings::{Auth, Settings};

/// Reads the section; `None` when no URL turns it on.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Auth> {
    let timeout = reader.milliseconds("auth.timeout_ms");
    let concurrency = reader.number("auth.concurrency");
    let cache = reader.milliseconds("auth.cache_ms");
    let cache_entries = reader.number("auth.cache_entries");
    let ca_file = reader.text("auth.ca_file");
    let url = reader.text("auth.url");
    if url.is_empty() {
        if !ca_file.is_empty() {
            reader.refuse("auth.ca_file", "is used with auth.url, which is not set");
        }
        return None;
    }
    let url = match parse(url) {
        Ok(url) => url,
        Err(reason) => {
            reader.refuse("auth.url", reason);
            return None;
        }
    };
    if !ca_file.is_empty() && url.scheme_str() != Some("https") {
        reader.refuse(
            "auth.ca_file",
            "is used with an auth.url that starts with https://",
        );
    }
    Some(Auth {
        url,
        ca_file: (!ca_file.is_empty()).then(|| PathBuf::from(ca_file)),
        timeout,
        concurrency,
        cache,
        cache_entries,
    })
}

/// What only both together show.
pub(super) fn check(settings: &Settings, reader: &mut Reader<'_>) {
    let Some(auth) = &settings.auth else { return };
    if auth.timeout >= settings.limits.handshake {
        reader.refuse(
            "auth.timeout_ms",
            "must be less than limits.handshake_ms, in which the whole handshake is answered",
        );
    }
}

fn parse(text: &str) -> Result<Uri, String> {
    const EXAMPLE: &str = "must be a URL such as http://127.0.0.1:8001/fanfare/auth/";
    let url = Url::parse(text).map_err(|error| format!("{EXAMPLE}: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(EXAMPLE.to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        // They would be an Authorization header, and there the client's own goes.
        return Err(
            "must have no user and no password: the server sends those of the client".to_owned(),
        );
    }
    if url.fragment().is_some() {
        return Err("must have no fragment".to_owned());
    }
    url.as_str()
        .parse()
        .map_err(|error| format!("{EXAMPLE}: {error}"))
}
