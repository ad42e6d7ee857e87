//! From a request to a session, or to the response that refuses it.

use std::panic::AssertUnwindSafe;
use std::rc::Rc;
use std::sync::Arc;

use actix_web::{HttpRequest, HttpResponse};
use fanfare_node::{Handling, Identity, Ticket};
use fanfare_web::{Opening, Reject, Request, SessionSpec, User};
use futures_util::FutureExt as _;

use super::Route;
use crate::cluster::{Cluster, cluster_of};
use crate::consumer::Consumer;
use crate::frame::FromFrame;
use crate::run::Life;
use crate::session::Session;

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
        let request = Request::new(request);
        let mut opening = Opening::check(&request, None, &self.groups)?;
        // The server's own, whose drain ends the session, also where the App has another as data.
        let cluster =
            cluster_of(&request).ok_or_else(|| Reject::internal("there is no cluster"))?;
        let user = User::of(&request);
        let identity = user.map(|user| Identity::of_user(user.id())).transpose()?;
        let mut ticket = opening.seat(SessionSpec {
            encoder: Arc::clone(&self.encoder),
            handling: Handling::Program(self.delivering),
            identity: identity.map(Arc::new),
            welcome: false,
            access: None,
        })?;
        let mut session = self.session(&ticket, cluster, &request)?;
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
        ticket.groups().join().await?;
        session.admitted();
        let life = Life::<C, M, I>::new(consumer, session, Arc::clone(&self.name));
        ticket.run(life.into_program());
        Ok(opening.answer(ticket, accept))
    }

    fn session<M: 'static>(
        &self,
        ticket: &Ticket,
        cluster: Cluster,
        request: &Request,
    ) -> Result<Session<M>, Reject> {
        let mailbox = ticket.mailbox();
        let mailbox = mailbox.ok_or_else(|| Reject::internal("the session has no mailbox"))?;
        let params = request.params();
        let params = params.map(|(name, value)| (name.into(), value.into()));
        Ok(Session::new(
            mailbox,
            Arc::clone(&self.encoder),
            cluster,
            params.collect(),
            Rc::clone(ticket.groups()),
        ))
    }
}
