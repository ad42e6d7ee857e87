//! Who may use the API: whoever shows one of its keys.

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{self, HeaderValue};
use actix_web::middleware::Next;
use actix_web::{Error, web};
use subtle::ConstantTimeEq as _;

use super::Shared;
use fanfare_web::{Code, Refusal};

/// Lets a request pass that carries `Authorization: Bearer <key>`.
pub(crate) async fn require_key(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let shared = request
        .app_data::<web::Data<Shared>>()
        .ok_or_else(Refusal::internal)?;
    check(
        request.headers().get(header::AUTHORIZATION),
        &shared.settings.api.keys,
    )?;
    next.call(request).await
}

fn check(authorization: Option<&HeaderValue>, keys: &[String]) -> Result<(), Refusal> {
    let unauthorized = |message: &'static str| Refusal::new(Code::Unauthorized, message);
    let Some(value) = authorization else {
        return Err(unauthorized(
            "this path needs \"Authorization: Bearer <key>\"",
        ));
    };
    let given = bearer(value.as_bytes())
        .ok_or_else(|| unauthorized("\"Authorization\" must be \"Bearer <key>\""))?;
    // Every key is compared, so that the time says nothing about which one was close.
    let known = keys.iter().fold(false, |known, key| {
        known | bool::from(key.as_bytes().ct_eq(given))
    });
    if known {
        Ok(())
    } else {
        Err(unauthorized("the key is not known here"))
    }
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
        check(value.as_ref(), &keys).is_ok()
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
