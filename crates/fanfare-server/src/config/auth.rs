//! `[auth]`: the application that says who a client is.

use std::os::unix::net::SocketAddr;
use std::path::PathBuf;

use http::Uri;
use url::Url;

use super::reader::Reader;
use super::secret_file;
use super::settings::{Auth, Settings};

/// What works where something else leads to a Unix socket.
const SOCKET_FORM: &str = "must have the form unix:/run/gunicorn.sock:/fanfare/auth/ for an \
                           application on a Unix socket: the path of the socket, a colon, and the \
                           path of the view";

/// Reads the section; `None` when no URL turns it on.
pub(super) fn read(reader: &mut Reader<'_>) -> Option<Auth> {
    let timeout = reader.milliseconds("auth.timeout_ms");
    let concurrency = reader.number("auth.concurrency");
    let cache = reader.milliseconds("auth.cache_ms");
    let cache_entries = reader.number("auth.cache_entries");
    let ca_file = reader.text("auth.ca_file");
    let (url, key) = secret_file::text(reader, "auth.url")?;
    if url.is_empty() {
        if !ca_file.is_empty() {
            reader.refuse("auth.ca_file", "is used with auth.url, which is not set");
        }
        return None;
    }
    let (url, socket) = match parse(&url) {
        Ok(found) => found,
        Err(reason) => {
            reader.refuse(&key, reason);
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
        socket,
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

/// The URL, and the Unix socket in front of it, if that is where it leads.
fn parse(text: &str) -> Result<(Uri, Option<PathBuf>), String> {
    if let Some(rest) = text.strip_prefix("unix:") {
        let (path, uri) = socket(rest)?;
        // The name that a browser on this machine would use.
        let url = network(&format!("http://localhost{uri}"))?;
        return Ok((url, Some(path)));
    }
    if means_a_socket(text) {
        return Err(SOCKET_FORM.to_owned());
    }
    Ok((network(text)?, None))
}

/// `/run/gunicorn.sock:/fanfare/auth/`, as behind the `unix:` of nginx.
fn socket(text: &str) -> Result<(PathBuf, &str), String> {
    let (path, uri) = text.split_once(':').unwrap_or_default();
    if !path.starts_with('/') || path.starts_with("//") || !uri.starts_with('/') {
        return Err(SOCKET_FORM.to_owned());
    }
    SocketAddr::from_pathname(path)
        .map_err(|error| format!("{path} cannot be the path of a Unix socket: {error}"))?;
    Ok((path.into(), uri))
}

/// Forms of other programs that lead to a Unix socket, and what leads to a host called `run`.
fn means_a_socket(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    let (scheme, rest) = text.split_once(':').unwrap_or(("", &text));
    scheme.contains("unix")
        || text.starts_with('/') && text.contains(".sock")
        || rest.starts_with("//unix:")
        || rest.starts_with("///")
}

fn network(text: &str) -> Result<Uri, String> {
    const EXAMPLE: &str = "must be a URL such as http://127.0.0.1:8000/fanfare/auth/";
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
