//! An `actix-web-actors` session as a member: `cargo run -p fanfare --example actors`.
//!
//! This is for applications that already have such actors. Any actix actor that handles [`Arrived`]
//! can join groups, also under a plain `HttpServer`. Use a consumer for new code: it takes a seventh
//! of the memory, and `actix-web-actors` is deprecated upstream.

use actix::prelude::*;
use actix_web::{App, Error, HttpRequest, HttpResponse, HttpServer, web};
use actix_web_actors::ws::{self, CloseReason, ProtocolError, WebsocketContext};
use fanfare::{ActorMember, Arrived, Cluster, SendError};
use serde::{Deserialize, Serialize};

pub(crate) const GROUP: &str = "lobby";

/// The session of the existing application, with a cluster.
struct Talk {
    cluster: Cluster,
    /// Dropped with the actor, which leaves all its groups.
    member: Option<ActorMember>,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename = "talk.said")]
struct Said {
    text: String,
}

impl Actor for Talk {
    type Context = WebsocketContext<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        let member = match self.cluster.member(context.address().recipient()) {
            Ok(member) => member,
            Err(error) => return fail(context, &error),
        };
        let joining = async move { member.group_add(GROUP).await.map(|()| member) };
        // Nothing is received before the group is joined.
        context.wait(
            joining
                .into_actor(self)
                .map(|joined, talk, context| match joined {
                    Ok(member) => talk.member = Some(member),
                    Err(error) => fail(context, &error),
                }),
        );
    }
}

/// Events of the cluster for this session.
impl Handler<Arrived> for Talk {
    type Result = ();

    fn handle(&mut self, Arrived { envelope }: Arrived, context: &mut Self::Context) {
        if let Some(close) = &envelope.close {
            let (code, reason) = (close.code.0.into(), close.reason.to_string());
            context.close(Some(CloseReason {
                code,
                description: Some(reason),
            }));
            return context.stop();
        }
        if let Ok(Said { text }) = envelope.event.to() {
            context.text(text);
        }
    }
}

/// Messages of the client.
impl StreamHandler<Result<ws::Message, ProtocolError>> for Talk {
    fn handle(&mut self, message: Result<ws::Message, ProtocolError>, context: &mut Self::Context) {
        match message {
            Ok(ws::Message::Text(text)) => self.publish(text.to_string(), context),
            Ok(ws::Message::Ping(payload)) => context.pong(&payload),
            Ok(ws::Message::Close(reason)) => {
                context.close(reason);
                context.stop();
            }
            Ok(_) => {}
            Err(_) => context.stop(),
        }
    }
}

impl Talk {
    fn publish(&self, text: String, context: &mut WebsocketContext<Self>) {
        let cluster = self.cluster.clone();
        let publishing = async move { cluster.group_send(GROUP, &Said { text }).await };
        // Not `spawn`: two messages in a row would race each other.
        context.wait(
            publishing
                .into_actor(self)
                .map(|sent: Result<(), SendError>, _, context| {
                    if let Err(error) = sent {
                        fail(context, &error);
                    }
                }),
        );
    }
}

fn fail(context: &mut WebsocketContext<Talk>, error: &dyn std::error::Error) {
    eprintln!("a session failed: {error}");
    context.close(Some(ws::CloseCode::Error.into()));
    context.stop();
}

async fn talk(
    request: HttpRequest,
    body: web::Payload,
    cluster: Cluster,
) -> Result<HttpResponse, Error> {
    ws::start(
        Talk {
            cluster,
            member: None,
        },
        &request,
        body,
    )
}

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.route("/ws/talk", web::get().to(talk));
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let cluster = Cluster::memory()?;
    let app = move || App::new().app_data(cluster.clone()).configure(routes);
    let server = HttpServer::new(app).bind(address)?;
    for address in server.addrs() {
        println!("actors: connect twice, and say something");
        println!("  websocat ws://{address}/ws/talk");
    }
    Ok(server.run().await?)
}
