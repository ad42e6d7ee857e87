//! Request headers that list tokens, separated by commas.

use actix_web::http::header::{HeaderMap, HeaderName, SEC_WEBSOCKET_PROTOCOL};

/// The subprotocols that a client offers, in its order of preference.
pub(crate) fn subprotocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    tokens(headers, &SEC_WEBSOCKET_PROTOCOL).filter(|name| !name.is_empty())
}

/// Whether a comma-separated header names a token, in any case.
pub(crate) fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|part| part.eq_ignore_ascii_case(token))
}

fn tokens<'h>(headers: &'h HeaderMap, name: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(name);
    let texts = values.filter_map(|value| value.to_str().ok());
    texts.flat_map(|value| value.split(',')).map(str::trim)
}
