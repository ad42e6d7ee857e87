//! Chat rooms: `cargo run -p fanfare --example chat`, then open the page in two windows.

use actix_web::{App, web};
use fanfare::{Accept, Cluster, Consumer, Frame, Outcome, Reject, Request, Server, Session};
use serde::{Deserialize, Serialize};

#[derive(Default)]
struct Chat {
    room: String,
    name: String,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum ChatEvent {
    #[serde(rename = "chat.message")]
    Message { name: String, text: String },
}

impl Consumer for Chat {
    type Event = ChatEvent;

    async fn connect(
        &mut self,
        session: &mut Session,
        request: &Request,
    ) -> Result<Accept, Reject> {
        self.room = format!("chat_{}", request.param::<String>("room")?);
        self.name = request.param("name")?;
        session.group_add(&self.room).await?;
        Ok(Accept::new())
    }

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        let (name, text) = (self.name.clone(), frame.into_text()?.to_string());
        let message = ChatEvent::Message { name, text };
        Ok(session.group_send(&self.room, &message).await?)
    }

    async fn event(&mut self, session: &mut Session, event: &ChatEvent) -> Outcome {
        let ChatEvent::Message { name, text } = event;
        Ok(session.send_text(&format!("{name}: {text}")).await?)
    }
}

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    let page = async || web::Html::new(include_str!("chat.html"));
    let chat = fanfare::consumer("/ws/chat/{room}/{name:str}/", Chat::default);
    app.route("/", web::get().to(page)).service(chat);
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let server = Server::new(Cluster::memory()?, || App::new().configure(routes)).bind(address)?;
    println!("chat: open {server}/ in two windows");
    Ok(server.serve().await?)
}
