//! The server that `fanfare-bench` measures consumers with: one worker thread, the limits and the
//! pings that it gives the binary `fanfare`, and consumers for what that one's routes do.
//!
//! It prints its address and serves until it is ended. With `--redis URL` its cluster is there, on
//! pub/sub, instead of in memory.

use std::time::Duration;

use actix_web::dev::{Service as _, ServiceRequest};
use actix_web::{App, HttpMessage as _};
use anyhow::{Context as _, bail};
use bytestring::ByteString;
use fanfare_consumer::{
    Accept, Cluster, ClusterOptions, Consumer, Frame, Frames, Layer, Outcome, Reject, Request,
    Session, User, consumer,
};
use fanfare_gateway::Server;
use serde::{Deserialize, Serialize};

/// As in the binary `fanfare`, or memory and rates would not compare.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// Room for the largest measurement.
const SESSIONS: usize = 15_000;
/// The load generator answers no pings, and would count them as deliveries.
const PING_INTERVAL: Duration = Duration::from_secs(3600);

fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .with_writer(std::io::stderr)
        .init();
    actix_rt::System::new().block_on(serve())
}

async fn serve() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let mut options = ClusterOptions::default();
    match (arguments.next().as_deref(), arguments.next()) {
        (None, None) => {}
        (Some("--redis"), Some(url)) => options.layer = Layer::redis([url])?,
        _ => bail!("usage: fanfare-bench-consumers [--redis URL]"),
    }
    options.limits.sessions = SESSIONS;
    // All clients share one address, and a burst is what they measure.
    let rate = &mut options.limits.rate;
    rate.messages_per_second = 0;
    rate.bytes_per_second = 0;
    rate.handshakes_per_second_per_address = 0;
    rate.sessions_per_address = 0;
    options.ping.interval = PING_INTERVAL;
    let app = || {
        App::new()
            .service(consumer("/ws/echo", || Echo))
            .service(consumer("/frames/{group}", || Forwarded))
            .service(consumer("/events/{group}", || Told))
            .service(consumer("/idle/{group}", || Told))
            .service(consumer("/users/{group}", || Told))
            .service(consumer("/many/{groups}", || Many))
            .wrap_fn(|request, service| {
                identify(&request);
                service.call(request)
            })
    };
    let server = Server::new(Cluster::new(options)?, app)
        .workers(1)
        .bind("127.0.0.1:0")?;
    let address = server.addresses().first().context("no address")?;
    println!("fanfare-bench-consumers on http://{address}");
    Ok(server.serve().await?)
}

/// Makes the user of a query, `?user=ID`, the user of the request.
fn identify(request: &ServiceRequest) {
    let id = request.query_string().strip_prefix("user=");
    if let Some(user) = id.and_then(|id| User::new(id).ok()) {
        request.extensions_mut().insert(user);
    }
}

/// The same message back.
struct Echo;

impl Consumer for Echo {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        match frame {
            Frame::Text(text) => session.send_text(&text).await?,
            Frame::Binary(bytes) => session.send_binary(&bytes).await?,
        }
        Ok(())
    }
}

/// What travels through the groups, as the route `/ws/chat/{room}/` of `fanfare` publishes it.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Chat {
    #[serde(rename = "chat.message")]
    Message { message: ByteString },
}

/// A group whose events go to the clients as frames: no `event`.
struct Forwarded;

impl Consumer for Forwarded {
    type Event = Frames;
    const GROUPS: &'static [&'static str] = &["{group}"];
    const DELIVER: &'static [(&'static str, &'static str)] = &[("chat.message", "message")];

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        publish(session, frame).await
    }
}

/// A group whose events are told to the consumer, which sends them on.
struct Told;

impl Consumer for Told {
    type Event = Chat;
    const GROUPS: &'static [&'static str] = &["{group}"];

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        publish(session, frame).await
    }

    async fn event(&mut self, session: &mut Session, event: &Chat) -> Outcome {
        let Chat::Message { message } = event;
        session.send_text(message).await?;
        Ok(())
    }
}

/// Joins as many groups as its path says, one by one.
struct Many;

impl Consumer for Many {
    type Event = Frames;

    async fn connect(
        &mut self,
        session: &mut Session,
        request: &Request,
    ) -> Result<Accept, Reject> {
        let groups: usize = request.param("groups")?;
        for number in 0..groups {
            session.group_add(&format!("many{number}")).await?;
        }
        Ok(Accept::new())
    }
}

/// What a client sends goes to the session's group, as `on_receive = "group_send"` has it.
async fn publish(session: &Session, frame: Frame) -> Outcome {
    let message = frame.into_text()?;
    for group in session.groups() {
        let event = Chat::Message {
            message: message.clone(),
        };
        session.group_send(group.as_str(), &event).await?;
    }
    Ok(())
}
