//! Letters from user to user: `cargo run -p fanfare --example direct`.

use actix_web::{App, Error, HttpRequest, error::ErrorBadRequest, web};
use fanfare::middleware::Authenticate;
use fanfare::{
    CloseCode, Cluster, Consumer, Failure, JsonFrame, Outcome, Server, Session, User, consumer,
};
use serde::{Deserialize, Serialize};

struct Inbox;

/// A message of a client.
#[derive(Deserialize)]
struct Letter {
    to: String,
    text: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum InboxEvent {
    #[serde(rename = "inbox.letter")]
    Letter { from: String, text: String },
}

impl Consumer<(), JsonFrame<Letter>> for Inbox {
    type Event = InboxEvent;

    async fn receive(
        &mut self,
        session: &mut Session,
        JsonFrame(letter): JsonFrame<Letter>,
    ) -> Outcome {
        let Some(from) = session.user().map(str::to_owned) else {
            return Err(Failure::close(CloseCode::POLICY, "who are you?"));
        };
        let event = InboxEvent::Letter {
            from,
            text: letter.text,
        };
        session.send_to_user(&letter.to, &event).await?;
        Ok(())
    }

    async fn event(&mut self, session: &mut Session, event: &InboxEvent) -> Outcome {
        // As JSON, encoded once for all windows of the user.
        Ok(session.forward(event).await?)
    }
}

/// For development only: believes any `X-User: ann`. A real resolver looks up a cookie or checks a
/// token.
async fn whoever_they_say(request: &HttpRequest) -> Result<Option<User>, Error> {
    let name = request
        .headers()
        .get("x-user")
        .and_then(|name| name.to_str().ok());
    name.map(User::new).transpose().map_err(ErrorBadRequest)
}

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    let websockets = web::scope("/ws")
        .wrap(Authenticate::new(whoever_they_say).required())
        .service(consumer("/inbox/", || Inbox));
    app.service(websockets);
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let server = Server::new(Cluster::memory()?, || App::new().configure(routes)).bind(address)?;
    for address in server.addresses() {
        println!("direct: connect twice, and send a letter as one user to the other");
        println!("  websocat -H 'X-User: ann' ws://{address}/ws/inbox/");
        println!("  websocat -H 'X-User: bob' ws://{address}/ws/inbox/");
        println!("  {{\"to\":\"ann\",\"text\":\"hello\"}}");
    }
    Ok(server.serve().await?)
}
