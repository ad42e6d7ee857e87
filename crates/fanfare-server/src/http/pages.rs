//! The demo page and what it is made of, from inside the binary.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpRequest, HttpResponse, guard, web};
use fanfare_web::handshake::asks_for_websocket;

use super::readable;

/// Nothing but the server's own files and its WebSockets; older Safari takes `'self'` for http
/// only, so the socket schemes are named.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self' ws: wss:; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

/// One file.
#[derive(Clone, Copy)]
struct Page {
    path: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const PAGES: [Page; 3] = [
    Page {
        path: "/",
        content_type: "text/html; charset=utf-8",
        content: include_str!("../../pages/index.html"),
    },
    Page {
        path: "/static/app.js",
        content_type: "text/javascript; charset=utf-8",
        content: include_str!("../../pages/app.js"),
    },
    Page {
        path: "/static/style.css",
        content_type: "text/css; charset=utf-8",
        content: include_str!("../../pages/style.css"),
    },
];

pub(crate) fn configure(app: &mut web::ServiceConfig) {
    for page in PAGES {
        let tag = tag(page.content);
        let answer = move |request: HttpRequest| {
            let response = page.answer(request.headers(), &tag);
            async move { response }
        };
        // A configured route may have the path of a page: then browsers get the page and
        // WebSockets the route.
        let no_upgrade = guard::fn_guard(|request| !asks_for_websocket(request.head().headers()));
        app.service(readable(page.path, web::to(answer)).guard(no_upgrade));
    }
}

impl Page {
    fn answer(&self, headers: &HeaderMap, tag: &str) -> HttpResponse {
        let mut response = if knows(headers, tag) {
            HttpResponse::NotModified()
        } else {
            HttpResponse::Ok()
        };
        response
            .insert_header((header::ETAG, tag))
            .insert_header((header::CACHE_CONTROL, "no-cache"))
            .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
            .insert_header((header::REFERRER_POLICY, "no-referrer"));
        if knows(headers, tag) {
            return response.finish();
        }
        response.content_type(self.content_type).body(self.content)
    }
}

fn knows(headers: &HeaderMap, tag: &str) -> bool {
    let tags = headers
        .get_all(header::IF_NONE_MATCH)
        .filter_map(|value| value.to_str().ok());
    tags.flat_map(|tags| tags.split(','))
        .any(|known| matches!(known.trim(), "*") || known.trim() == tag)
}

fn tag(content: &str) -> String {
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}
