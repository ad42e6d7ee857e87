//! Who may use the API: whoever shows one of its keys.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use subtle::ConstantTimeEq as _;

use super::{Shared, audit};
use fanfare_web::{Code, Refusal};

/// Lets a request pass that carries `Authorization: Bearer <key>`.
pub(crate) async fn require_key(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shared = request
        .app_data::<web::Data<Shared>>()
        .ok_or_else(Refusal::internal)?;
    let given = given(request.headers().get(header::AUTHORIZATION))?;
    if !is_known(given, &shared.settings.api.keys) {
        let client = &shared.settings.http.trusted_proxies;
        let client = client.client(request.request());
        return Err(shared.guesses.refuse(&client, &shared.metrics).into());
    }
    audit::remember_key(request.request(), given);
    next.call(request).await
}

/// The key of a request.
fn given(authorization: Option<&HeaderValue>) -> Result<&[u8], Refusal> {
    let unauthorized = |message: &'static str| Refusal::new(Code::Unauthorized, message);
    let value = authorization
        .ok_or_else(|| unauthorized("this path needs \"Authorization: Bearer <key>\""))?;
    bearer(value.as_bytes())
        .ok_or_else(|| unauthorized("\"Authorization\" must be \"Bearer <key>\""))
}

/// Every key is compared, so that the time says nothing about which one was close.
fn is_known(given: &[u8], keys: &[String]) -> bool {
    keys.iter().fold(false, |known, key| {
        known | bool::from(key.as_bytes().ct_eq(given))
    })
}

fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, token) = value.split_at_checked("bearer ".len())?;
    scheme
        .eq_ignore_ascii_case(b"bearer ")
        .then(|| token.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(authorization: Option<&'static str>, keys: &[&str]) -> bool {
        let value = authorization.map(HeaderValue::from_static);
        let keys: Vec<_> = keys.iter().map(|key| (*key).to_owned()).collect();
        given(value.as_ref()).is_ok_and(|given| is_known(given, &keys))
    }

    #[test]
    fn only_a_whole_known_key_passes() {
        assert!(passes(Some("Bearer two"), &["one", "two"]));
        assert!(passes(Some("bearer one"), &["one", "two"]));
        for wrong in [
            "Bearer",
            "Bearer ",
            "Bearer on",
            "Bearer onee",
            "Basic one",
            "one",
            "",
        ] {
            assert!(!passes(Some(wrong), &["one", "two"]), "{wrong:?}");
        }
        assert!(!passes(None, &["one"]));
        assert!(!passes(Some("Bearer one"), &[]));
    }
}
