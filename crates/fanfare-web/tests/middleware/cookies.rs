use actix_web::http::header::{COOKIE, HeaderValue};
use actix_web::test::{TestRequest, call_service, init_service, read_body};
use actix_web::{App, HttpRequest, web};

use super::websocket;

async fn cookie(request: HttpRequest) -> String {
    match request.cookie("session") {
        Some(cookie) => cookie.value().to_owned(),
        None => "none".into(),
    }
}

#[actix_web::test]
async fn cookies_of_several_headers_are_found_and_bad_ones_are_no_error() {
    let service = init_service(App::new().default_service(web::to(cookie))).await;
    for (headers, found) in [
        (&[&b"a=b; session=1"[..]][..], "1"),
        (&[b"a=b", b"session=2; c=d"], "2"),
        (&[b"session=a%20b"], "a b"),
        (&[b"session="], ""),
        (&[b"=; ;;=x; session=3; nonsense"], "3"),
        (&[b"\xff\xfe"], "none"),
        (&[b"session=%ff%", b"other=1"], "none"),
        (&[b""], "none"),
        (&[], "none"),
    ] {
        for mut request in [TestRequest::get(), websocket()] {
            for value in headers {
                let value = HeaderValue::from_bytes(value).unwrap();
                request = request.append_header((COOKIE, value));
            }
            let response = call_service(&service, request.to_request()).await;
            assert_eq!(response.status(), 200, "{headers:?}");
            assert_eq!(read_body(response).await, found, "{headers:?}");
        }
    }
}
