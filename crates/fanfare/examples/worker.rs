//! Work in the background: `cargo run -p fanfare --example worker`.
//!
//! A session sends a job to the channel `primes` and continues. A worker handles the job, and sends
//! its answer to the channel of the session.

use actix_web::{App, web};
use fanfare::{
    Cluster, Consumer, Frame, Outcome, Server, Session, Worker, WorkerError, Workers, WorkersError,
    consumer,
};
use serde::{Deserialize, Serialize};
use tokio::task::spawn_blocking;

const CHANNEL: &str = "primes";

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Job {
    #[serde(rename = "primes.count")]
    Count { below: u32, reply_to: String },
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "type")]
enum Answer {
    #[serde(rename = "primes.counted")]
    Counted { below: u32, primes: usize },
}

/// The consumer: it sends jobs and receives answers.
struct Asks;

impl Consumer for Asks {
    type Event = Answer;

    async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
        let Ok(below @ ..=1_000_000) = frame.into_text()?.parse() else {
            return Ok(session.send_text("send a number up to 1000000").await?);
        };
        let reply_to = session.channel().to_string();
        let job = Job::Count { below, reply_to };
        Ok(session.send_to(CHANNEL, &job).await?)
    }

    async fn event(&mut self, session: &mut Session, answer: &Answer) -> Outcome {
        let Answer::Counted { below, primes } = answer;
        let text = format!("there are {primes} primes below {below}");
        Ok(session.send_text(&text).await?)
    }
}

/// The worker. With Redis it can also run in a separate program.
struct Counts;

impl Worker for Counts {
    type Event = Job;

    async fn handle(&mut self, cluster: &Cluster, job: &Job) -> Result<(), WorkerError> {
        let Job::Count { below, reply_to } = job;
        let below = *below;
        let primes = spawn_blocking(move || count_primes(below)).await?;
        let answer = Answer::Counted { below, primes };
        Ok(cluster.send(reply_to, &answer).await?)
    }
}

/// Counts slowly, as an example of blocking work.
fn count_primes(below: u32) -> usize {
    let up_to_root = |n: u32| (2..).take_while(move |d| d * d <= n);
    let is_prime = |n: &u32| !up_to_root(*n).any(|d| n.is_multiple_of(d));
    (2..below).filter(is_prime).count()
}

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    app.service(consumer("/ws/primes/", || Asks));
}

/// The workers handle two jobs at a time. Further jobs wait.
pub(crate) fn workers(cluster: &Cluster) -> Result<Workers, WorkersError> {
    Workers::new(cluster.clone()).channel(CHANNEL, 2, || Counts)
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let cluster = Cluster::memory()?;
    let workers = workers(&cluster)?;
    let server = Server::new(cluster, || App::new().configure(routes)).bind(address)?;
    for address in server.addresses() {
        println!("worker: connect, and send a number");
        println!("  websocat ws://{address}/ws/primes/");
    }
    // The workers stop when the server has closed the cluster.
    let working = actix_web::rt::spawn(workers.run(std::future::pending()));
    server.serve().await?;
    println!("{} jobs done", working.await?.done);
    Ok(())
}
