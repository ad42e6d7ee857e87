//! Middleware in front of a handler that answers 200: what passes, and what is refused with what.

mod clients;
mod cookies;
mod origins;
mod own;
mod rate_limit;
mod users;

use actix_service::boxed::{self, BoxService};
use actix_service::fn_service;
use actix_web::body::MessageBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform};
use actix_web::http::{StatusCode, header};
use actix_web::test::{TestRequest, read_body};
use actix_web::{Error, HttpResponse};
use fanfare_consumer::User;

/// What stands behind a middleware.
type Inner = BoxService<ServiceRequest, ServiceResponse, Error>;

/// A request that has the shape of a handshake.
fn websocket() -> TestRequest {
    TestRequest::get()
        .insert_header((header::CONNECTION, "Upgrade"))
        .insert_header((header::UPGRADE, "websocket"))
        .insert_header((header::SEC_WEBSOCKET_VERSION, "13"))
        .insert_header((header::SEC_WEBSOCKET_KEY, "dGhlIHNhbXBsZSBub25jZQ=="))
}

/// What a request is answered through a middleware; a handler that is reached says for whom.
async fn answer<T, B>(middleware: T, request: TestRequest) -> (StatusCode, String)
where
    T: Transform<Inner, ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    T: Transform<Inner, ServiceRequest, InitError = ()>,
    T::Transform: Service<ServiceRequest, Response = ServiceResponse<B>, Error = Error>,
    B: MessageBody,
{
    let inner = fn_service(|request: ServiceRequest| async move {
        let user = User::of(request.request());
        let name = user.as_ref().map_or("stranger", User::id);
        let response = HttpResponse::Ok().body(format!("hello {name}"));
        Ok(request.into_response(response))
    });
    let service = middleware.new_transform(boxed::service(inner)).await;
    let answered = service.unwrap().call(request.to_srv_request()).await;
    let response = match answered {
        Ok(response) => response,
        Err(error) => return (error.error_response().status(), error.to_string()),
    };
    let status = response.status();
    let body = read_body(response).await;
    (status, String::from_utf8(body.to_vec()).unwrap())
}

/// The body that every error has.
fn error(code: &str, message: &str) -> String {
    let message = serde_json::to_string(message).unwrap();
    format!(r#"{{"error":{{"code":"{code}","message":{message},"field":null}}}}"#)
}
