//! The guide's first server: it sends every message back to its client.

use actix_web::App;
use fanfare::{Cluster, Consumer, Frame, Frames, Outcome, Server, Session, consumer};

struct Echo;

impl Consumer for Echo {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        session.send_text(&frame.into_text()?).await?;
        Ok(())
    }
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let app = || App::new().service(consumer("/ws/echo/", || Echo));
    let server = Server::new(Cluster::memory()?, app).bind(address)?;
    println!("listening on {server}");
    Ok(server.serve().await?)
}
