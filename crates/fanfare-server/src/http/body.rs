//! The body of a request.

use actix_web::http::header::CONTENT_LENGTH;
use actix_web::{HttpRequest, web};
use bytes::{Bytes, BytesMut};
use fanfare_layer::{Charge, MemoryUse};
use fanfare_web::{Code, Refusal};
use futures_util::StreamExt as _;

use super::Shared;

/// A whole body; what it keeps in memory is counted until it is dropped.
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    _charge: Charge,
}

impl Body {
    /// Reads the whole body. It is refused as early as its length is known to pass the limit, when it
    /// takes longer than the head may take, and when the node is short of memory.
    pub(crate) async fn read(
        request: &HttpRequest,
        body: web::Payload,
        shared: &Shared,
    ) -> Result<Self, Refusal> {
        let limit = shared.settings.limits.body_bytes;
        let length = request.headers().get(CONTENT_LENGTH);
        let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if length.is_some_and(|length| length > limit as u64) {
            return Err(too_large(limit));
        }
        let patience = shared.settings.limits.handshake;
        let whole = collect(body, limit, shared.node.memory().charge(MemoryUse::Bodies));
        let whole = tokio::time::timeout(patience, whole).await;
        whole.unwrap_or_else(|_elapsed| {
            let patience = patience.as_millis();
            let message = format!("the body did not arrive within {patience} ms");
            Err(Refusal::new(Code::BodyTimeout, message))
        })
    }
}

/// What has come counts, not what was announced: an announcement takes no memory.
async fn collect(
    mut body: web::Payload,
    limit: usize,
    mut charge: Charge,
) -> Result<Body, Refusal> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(|error| Refusal::new(Code::BodyIncomplete, error.to_string()))?;
        if bytes.len() + chunk.len() > limit {
            return Err(too_large(limit));
        }
        charge.grow(chunk.len());
        if charge.budget().is_short() {
            charge.budget().relieve();
            let message = "the node is short of memory, so the body was not read";
            return Err(Refusal::new(Code::NoRoom, message));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(Body {
        bytes: bytes.freeze(),
        _charge: charge,
    })
}

fn too_large(limit: usize) -> Refusal {
    let message = format!("the body is over {limit} bytes");
    Refusal::new(Code::BodyTooLarge, message)
}
