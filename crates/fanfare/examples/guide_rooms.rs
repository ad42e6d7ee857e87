//! The guide's second server: a message in a room reaches all clients of the room.

use actix_web::{App, web};
use fanfare::{Cluster, Consumer, Frame, Frames, Outcome, Server, Session, consumer};
use serde_json::json;

struct Room;

impl Consumer for Room {
    type Event = Frames;
    const GROUPS: &'static [&'static str] = &["room_{room}"];

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        let event = json!({"type": "room.said", "text": &*frame.into_text()?});
        Ok(session.groups_send(&event).await?)
    }
}

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(consumer("/ws/room/{room:slug}/", || Room));
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let cluster = match std::env::args().nth(2) {
        Some(redis) => Cluster::redis([redis])?,
        None => Cluster::memory()?,
    };
    let server = Server::new(cluster, || App::new().configure(routes)).bind(address)?;
    println!("listening on {server}");
    Ok(server.serve().await?)
}
