//! Mistakes in the set-up of an application that show only in the responses of its App.

use actix_http::Response;
use actix_web::ResponseError as _;
use actix_web::body::{BodySize, BoxBody, EitherBody, MessageBody};
use actix_web::http::StatusCode;
use fanfare_layer::Throttle;

use crate::refusal::{Code, Refusal};

/// What actix-web answers where a handler asks for a `web::Data` that the App does not have.
const NO_DATA: &[u8] = b"Requested application data is not configured correctly. \
    View/enable debug logs for more details.";

const DATA: &str = "a handler asks for a web::Data that the App does not have: the cluster is an \
                    argument of the type Cluster, not web::Data<Cluster>, and other data is added \
                    with App::app_data";

const ROUTE: &str = "no route of the App takes a WebSocket at this path: add one with \
                     App::service(consumer(path, factory)), where the path of a scope stands in \
                     front of the path of its routes";

/// Puts into a response what the program has to change, and logs it, where the App has not the
/// `web::Data` that a handler asks for. Other responses stay as they are.
pub fn explain<B: MessageBody + 'static>(
    response: Response<B>,
) -> Response<EitherBody<B, BoxBody>> {
    let size = BodySize::Sized(NO_DATA.len() as u64);
    if response.status() != StatusCode::INTERNAL_SERVER_ERROR || response.body().size() != size {
        return response.map_body(|_, body| EitherBody::left(body));
    }
    let (head, body) = response.into_parts();
    match body.try_into_bytes() {
        Ok(text) if text == NO_DATA => {
            tracing::error!("{DATA}");
            let refused = refuse(Code::Internal, DATA);
            refused.map_body(|_, body| EitherBody::right(body))
        }
        Ok(other) => head.set_body(EitherBody::right(BoxBody::new(other))),
        Err(body) => head.set_body(EitherBody::left(body)),
    }
}

/// As [`explain`], and the same for a handshake that no route takes.
pub fn explain_handshake<B: MessageBody + 'static>(response: Response<B>) -> Response<BoxBody> {
    let unknown = response.status() == StatusCode::NOT_FOUND;
    if unknown && matches!(response.body().size(), BodySize::None | BodySize::Sized(0)) {
        // Anybody can ask for a path that is not there.
        static TOLD: Throttle = Throttle::new();
        if let Some(times) = TOLD.admit(1) {
            tracing::warn!(times, "{ROUTE}");
        }
        return refuse(Code::NotFound, ROUTE);
    }
    explain(response).map_into_boxed_body()
}

fn refuse(code: Code, mistake: &'static str) -> Response<BoxBody> {
    Refusal::new(code, mistake).error_response().into()
}
