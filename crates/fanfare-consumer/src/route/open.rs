//! From a request to a session, or to the response that refuses it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::http::header::{ALLOW, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpRequest, HttpResponse, ResponseError as _};
use fanfare_node::{Admission, Handling, Ticket};
use fanfare_web::{Handshake, Refusal, Reject, Request, User};
use futures_util::FutureExt as _;

use super::Route;
use super::groups::GroupsError;
use crate::cluster::{Cluster, cluster_of};
use crate::consumer::Consumer;
use crate::frame::FromFrame;
use crate::run::Life;
use crate::session::{Kept, Session};

impl Route {
    pub(super) async fn open<C, M, I>(
        &self,
        factory: &impl Fn(&Request) -> Result<C, Reject>,
        request: HttpRequest,
    ) -> HttpResponse
    where
        C: Consumer<M, I>,
        M: 'static,
        I: FromFrame,
    {
        match self.answer::<C, M, I>(factory, request).await {
            Ok(response) => response,
            Err(reject) => {
                let (route, status) = (&*self.name, reject.status().as_u16());
                match reject.cause() {
                    Some(error) => {
                        tracing::error!(route, status, error, "a handshake was refused");
                    }
                    None => tracing::debug!(route, status, "a handshake was refused"),
                }
                reject.into_response()
            }
        }
    }

    async fn answer<C, M, I>(
        &self,
        factory: &impl Fn(&Request) -> Result<C, Reject>,
        request: HttpRequest,
    ) -> Result<HttpResponse, Reject>
    where
        C: Consumer<M, I>,
        M: 'static,
        I: FromFrame,
    {
        if request.method() != Method::GET {
            return Ok(method_not_allowed());
        }
        let handshake = match Handshake::check(&request) {
            Ok(handshake) => handshake,
            Err(error) => return Ok(error.error_response()),
        };
        // The server's own, whose drain ends the session, also where the App has another as data.
        let cluster =
            cluster_of(&request).ok_or_else(|| Reject::internal("there is no cluster"))?;
        let user = User::of(&request);
        let request = Request::new(request);
        let params = request.params();
        let kept = Kept {
            params: params
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
            user: user.as_ref().map(|user| user.id().into()),
        };
        let admission = self.admission(&handshake, &kept, user)?;
        let mut ticket = Ticket::admit(&cluster.node().worker(), admission).await?;
        let mut session = self.session(&ticket, cluster, kept)?;
        let connect = async {
            let mut consumer = factory(&request)?;
            let accept = consumer.connect(&mut session, &request).await?;
            Ok::<_, Reject>((consumer, accept))
        };
        let (consumer, accept) = match AssertUnwindSafe(connect).catch_unwind().await {
            Ok(answer) => answer?,
            Err(_panic) => {
                session.cluster().metrics().failures.panic.inc();
                return Err(Reject::internal("the consumer panicked"));
            }
        };
        accept.check(&request)?;
        drop(request);
        let life = Life::<C, M, I>::new(consumer, session, Arc::clone(&self.name));
        ticket.run(life.into_program());
        Ok(handshake.answer(ticket, accept))
    }

    fn admission(
        &self,
        handshake: &Handshake,
        kept: &Kept,
        user: Option<User>,
    ) -> Result<Admission, Reject> {
        let mut groups = self
            .groups
            .render(&kept.params)
            .map_err(|error| match error {
                GroupsError::Name(error) => {
                    let (status, message) = (StatusCode::BAD_REQUEST, error.to_string());
                    Reject::refusal(Refusal::new(status, "invalid_group", message))
                }
                GroupsError::Template(error) => Reject::internal(error),
            })?;
        // The last one: a session tells it from the declared ones by that.
        groups.extend(user.map(|user| user.group().clone()));
        Ok(Admission {
            link: handshake.link(),
            encoder: Arc::clone(&self.encoder),
            handling: Handling::Program(self.delivering),
            groups,
            welcome: false,
            access: None,
        })
    }

    fn session<M: 'static>(
        &self,
        ticket: &Ticket,
        cluster: Cluster,
        kept: Kept,
    ) -> Result<Session<M>, Reject> {
        let mailbox = ticket.mailbox();
        let mailbox = mailbox.ok_or_else(|| Reject::internal("the session has no mailbox"))?;
        Ok(Session::new(
            mailbox,
            Arc::clone(&self.encoder),
            cluster,
            kept,
        ))
    }
}

fn method_not_allowed() -> HttpResponse {
    let message = "this path answers to GET only";
    let refusal = Refusal::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        message,
    );
    let mut response = refusal.error_response();
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("GET"));
    response
}
