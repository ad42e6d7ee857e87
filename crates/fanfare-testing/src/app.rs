//! Runs an App on the thread of the test, without a listener.

use std::rc::Rc;

use actix_http::body::{BoxBody, to_bytes};
use actix_http::{HttpMessage as _, Request};
use actix_web::http::StatusCode;
use bytes::{Bytes, BytesMut};
use fanfare_consumer::Cluster;
use fanfare_node::{Link, Socket};
use fanfare_web::{Host, Offer, Takeover, setup, spelling};
use futures_util::future::LocalBoxFuture;
use tokio::net::UnixStream;

use crate::answer::{Answer, Response};
use crate::websocket::WebSocket;
use crate::{head, pump};

/// What stands in front of a session's first frame.
const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";

/// The service of an App, and the cluster whose node takes its handshakes.
pub(crate) struct App {
    pub(crate) serve: Rc<Serve>,
    pub(crate) cluster: Cluster,
}

pub(crate) type Serve = dyn Fn(Request) -> LocalBoxFuture<'static, actix_http::Response<BoxBody>>;

impl App {
    /// The response to a plain request.
    pub(crate) async fn plain(&self, request: Request) -> Response {
        let host = Host::from(&self.cluster);
        request.extensions_mut().insert(host);
        whole(setup::explain((self.serve)(request).await).map_into_boxed_body()).await
    }

    /// As the gateway does it: the App answers 101 with a ticket, which is opened on the socket.
    pub(crate) async fn shake_hands(&self, mut request: Request) -> Answer {
        let (server, mut client) = match UnixStream::pair() {
            Ok(pair) => pair,
            Err(error) => panic!("no socket pair can be made: {error}"),
        };
        let offer = Offer::new(Link::of(&server), (&self.cluster).into());
        request.extensions_mut().insert(offer);
        spelling::respell(&mut request.head_mut().uri);
        let mut response = (self.serve)(request).await;
        let ticket = Takeover::remove(&mut response.extensions_mut());
        match ticket {
            Some(ticket) if response.status() == StatusCode::SWITCHING_PROTOCOLS => {
                let channel = ticket.channel().as_str().to_owned();
                let head = Bytes::from_static(HEAD);
                ticket.open(Socket::Unix(server), head, Bytes::new());
                let mut read = BytesMut::new();
                let _known = head::read(&mut client, &mut read).await;
                let headers = response.headers().clone();
                let sides = pump::start(Box::new(client), read);
                Answer::Accepted(WebSocket::new(sides, channel, headers))
            }
            _ => Answer::Rejected(whole(setup::explain_handshake(response)).await),
        }
    }
}

async fn whole(response: actix_http::Response<BoxBody>) -> Response {
    let (status, headers) = (response.status(), response.headers().clone());
    match to_bytes(response.into_body()).await {
        Ok(body) => Response {
            status,
            headers,
            body,
        },
        Err(error) => panic!("the body of the response failed: {error}"),
    }
}
