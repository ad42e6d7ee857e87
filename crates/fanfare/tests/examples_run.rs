//! The examples as people run them: one command, and what it prints.

use std::collections::HashMap;
use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use fanfare::testing::{Connecting, WebSocket};
use fanfare_rig::{Api, Process, eventually, project_root};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(20);

/// An example in a process of its own.
struct Running {
    process: Process,
    address: SocketAddr,
}

impl Running {
    async fn start(name: &str) -> Self {
        let mut command = Command::new(binary(name));
        command.arg("127.0.0.1:0");
        let process = Process::spawn(name, command).unwrap();
        let printed = eventually(LIMIT, "the printed address", async || {
            Ok(address_in(&process.stdout()))
        });
        let address = printed.await.unwrap();
        Self { process, address }
    }

    async fn connect(&self, path: &str) -> WebSocket {
        self.connect_as("nobody", path).await
    }

    async fn connect_as(&self, user: &str, path: &str) -> WebSocket {
        let asking = Connecting::to(self.address, path).header("x-user", user);
        let mut client = asking.connect().await.accepted();
        client.timeout(LIMIT);
        client
    }

    /// Ends it as a service manager does, and sees it end well.
    async fn end(mut self) {
        self.process.terminate().unwrap();
        let status = self.process.exit_status(LIMIT).await.unwrap();
        assert!(status.success(), "{status}: {}", self.process.stderr());
    }
}

/// The program of an example, built if that is needed.
fn binary(name: &str) -> PathBuf {
    static BUILT: OnceLock<HashMap<String, PathBuf>> = OnceLock::new();
    BUILT.get_or_init(build)[name].clone()
}

/// Builds all examples and says where cargo puts each. The packages and features are those of
/// `cargo xtask test`, where everything is built already.
fn build() -> HashMap<String, PathBuf> {
    let mut command = Command::new(env::var_os("CARGO").expect("cargo runs the tests"));
    command
        .args([
            "build",
            "--workspace",
            "--examples",
            "--message-format",
            "json",
        ])
        .args(["--features", "fanfare-node/fault"])
        .current_dir(project_root());
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let output = command.stderr(Stdio::inherit()).output().unwrap();
    assert!(output.status.success(), "the examples do not build");
    let messages = serde_json::Deserializer::from_slice(&output.stdout).into_iter::<Value>();
    let examples = messages.filter_map(|message| {
        let message = message.unwrap();
        let is_example = message["target"]["kind"] == json!(["example"]);
        let path = message["executable"].as_str().filter(|_| is_example)?;
        let name = message["target"]["name"].as_str()?;
        Some((name.to_owned(), PathBuf::from(path)))
    });
    examples.collect()
}

fn address_in(text: &str) -> Option<SocketAddr> {
    // A whole line: its end must be there too.
    let (text, _) = text.rsplit_once('\n')?;
    let (_, rest) = text.split_once("127.0.0.1:")?;
    let end = rest.find(|letter: char| !letter.is_ascii_digit());
    let port = &rest[..end.unwrap_or(rest.len())];
    Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?)))
}

/// Ends the sessions, so that the drain need not wait for clients of this thread.
async fn leave(clients: impl IntoIterator<Item = WebSocket>) {
    for client in clients {
        client.disconnect(1000).await;
    }
}

#[actix_web::test]
async fn the_guides_echo_runs() {
    let example = Running::start("guide_echo").await;
    let mut client = example.connect("/ws/echo/").await;
    client.send_text("hello").await;
    assert_eq!(client.receive_text().await, "hello");
    leave([client]).await;
    example.end().await;
}

#[actix_web::test]
async fn the_guides_rooms_run() {
    let example = Running::start("guide_rooms").await;
    let mut ann = example.connect("/ws/room/lobby/").await;
    let mut bob = example.connect("/ws/room/lobby/").await;
    ann.send_text("hello").await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(
            client.receive_json::<Value>().await,
            json!({ "type": "room.said", "text": "hello" })
        );
    }
    leave([ann, bob]).await;
    example.end().await;
}

#[actix_web::test]
async fn the_chat_runs() {
    let example = Running::start("chat").await;
    let mut ann = example.connect("/ws/chat/lobby/ann/").await;
    let mut bob = example.connect("/ws/chat/lobby/bob/").await;
    ann.send_text("hello").await;
    for client in [&mut ann, &mut bob] {
        assert_eq!(client.receive_text().await, "ann: hello");
    }
    leave([ann, bob]).await;
    example.end().await;
}

#[actix_web::test]
async fn the_notifications_run() {
    let example = Running::start("notifications").await;
    let mut ann = example.connect("/ws/notifications/?user=ann").await;
    let api = Api::new(&format!("http://{}", example.address), "").unwrap();
    for path in ["/notifications", "/users/ann/notifications"] {
        let note = json!({ "text": path });
        assert_eq!(api.post(path, &note).await.unwrap().status, 202);
        let heard = json!({ "type": "note", "text": path });
        assert_eq!(ann.receive_json::<Value>().await, heard);
    }
    leave([ann]).await;
    example.end().await;
}

#[actix_web::test]
async fn the_letters_run() {
    let example = Running::start("direct").await;
    let mut ann = example.connect_as("ann", "/ws/inbox/").await;
    let bob = example.connect_as("bob", "/ws/inbox/").await;
    bob.send_json(&json!({ "to": "ann", "text": "hello" }))
        .await;
    let letter = json!({ "type": "inbox.letter", "from": "bob", "text": "hello" });
    assert_eq!(ann.receive_json::<Value>().await, letter);
    leave([ann, bob]).await;
    example.end().await;
}

#[actix_web::test]
async fn the_game_runs() {
    let example = Running::start("game").await;
    let mut ann = example.connect("/ws/game/ann/").await;
    let world: Value = ann.receive_json().await;
    assert_eq!(world["players"].as_array().unwrap().len(), 1);
    leave([ann]).await;
    example.end().await;
}

#[actix_web::test]
async fn the_worker_runs_and_stops_with_its_server() {
    let example = Running::start("worker").await;
    let mut client = example.connect("/ws/primes/").await;
    client.send_text("100").await;
    assert_eq!(client.receive_text().await, "there are 25 primes below 100");
    leave([client]).await;
    example.end().await;
}

#[actix_web::test]
async fn the_clock_runs() {
    let example = Running::start("clock").await;
    let mut client = example.connect("/ws/clock/").await;
    client.receive_text().await;
    leave([client]).await;
    example.end().await;
}

#[actix_web::test]
async fn the_actors_run() {
    let example = Running::start("actors").await;
    let mut client = example.connect("/ws/talk").await;
    client.send_text("hello").await;
    assert_eq!(client.receive_text().await, "hello");
    leave([client]).await;
    example.end().await;
}
