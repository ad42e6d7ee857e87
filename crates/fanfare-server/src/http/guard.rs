//! A handler that panics answers 500, and the thread lives on.

use std::panic::AssertUnwindSafe;

use actix_web::Error;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::middleware::Next;
use futures_util::FutureExt as _;

use fanfare_web::Refusal;

/// Turns a panic into the API's error 500. What the handler had borrowed is dropped with it, and
/// what it shares with others is behind locks that do not poison.
pub(crate) async fn catch_panic(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let path = request.path().to_owned();
    match AssertUnwindSafe(next.call(request)).catch_unwind().await {
        Ok(outcome) => outcome,
        Err(_) => {
            tracing::error!(path, "a request handler panicked");
            Err(Refusal::internal().into())
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::middleware::from_fn;
    use actix_web::test::{TestRequest, init_service};
    use actix_web::{App, HttpResponse, web};

    use super::*;

    async fn panics() -> HttpResponse {
        panic!("as it must")
    }

    #[actix_web::test]
    async fn a_panic_is_an_error_500_and_the_next_request_is_served() {
        let app = App::new()
            .route("/panics", web::to(panics))
            .route("/works", web::to(HttpResponse::Ok))
            .wrap(from_fn(catch_panic));
        let app = init_service(app).await;
        let request = TestRequest::with_uri("/panics").to_request();
        let error = actix_web::dev::Service::call(&app, request)
            .await
            .err()
            .unwrap();
        let response = error.error_response();
        assert_eq!(response.status().as_u16(), 500);
        assert_eq!(
            response.headers().get("content-type").unwrap(),
            "application/json"
        );
        let request = TestRequest::with_uri("/works").to_request();
        let response = actix_web::dev::Service::call(&app, request).await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
    }
}
