//! The HTTP side of the binary: every status of the API, health, pages, handshakes, the drain.

mod access;
mod addresses;
mod api;
mod application;
mod audit;
mod auth;
mod auth_load;
mod auth_socket;
mod auth_tls;
mod batch;
mod broken_outputs;
mod channels;
mod drain;
mod guesses;
mod handshake;
mod heads;
mod health;
mod hosts;
mod keep_alive;
mod pages;
mod rate;
mod secrets;
mod spellings;
mod system_authorities;
mod with_redis;

use std::ffi::OsStr;

use anyhow::{Result, ensure};
use fanfare_rig::{API_KEY, Answer, Node};
use serde_json::Value;

/// A node on the memory layer with the shipped routes and these settings.
async fn node(sets: &[&str]) -> Result<Node> {
    node_with_config("", sets).await
}

/// A node with a configuration file of its own.
async fn node_with_config(config: &str, sets: &[&str]) -> Result<Node> {
    node_in(&[], config, sets).await
}

/// The shipped chat and notifications, with the user of the query.
const CLAIMED: &str = r#"
development = true

[[routes]]
path = "/ws/chat/{room}/"
groups = ["chat_{room}"]
on_receive = "group_send"
event_type = "chat.message"
user = { query = "user" }
[routes.deliver."chat.message"]
send = "message"

[[routes]]
path = "/ws/notifications"
groups = ["notifications"]
welcome = true
user = { query = "user" }

[[routes]]
path = "/ws/echo"
on_receive = "echo"
"#;

/// A node on which clients name their users.
async fn node_with_users(sets: &[&str]) -> Result<Node> {
    node_with_config(CLAIMED, sets).await
}

/// The same with variables of the environment.
async fn node_in(environment: &[(&str, &OsStr)], config: &str, sets: &[&str]) -> Result<Node> {
    let key = format!("api.keys=[\"{API_KEY}\"]");
    let mut all = vec!["http.bind=127.0.0.1:0", "http.workers=2", key.as_str()];
    all.extend_from_slice(sets);
    Node::start_in("node", config, &all, environment).await
}

/// Insists on an error in the one shape that all errors have; gives the object in it.
fn error(answer: &Answer, status: u16, code: &str) -> Result<Value> {
    let body: Value = answer.json()?;
    shape(&body, answer.status, (status, code))
}

/// The same for the parts of any response.
fn shape(body: &Value, got: u16, (status, code): (u16, &str)) -> Result<Value> {
    ensure!(got == status, "{status} was due, {got} came: {body}");
    let error = body.get("error").cloned().unwrap_or_default();
    let text = |key: &str| error.get(key).and_then(Value::as_str).unwrap_or_default();
    ensure!(text("code") == code, "{code} was due: {body}");
    ensure!(!text("message").is_empty(), "no message: {body}");
    let field = error.get("field");
    let fits = field.is_some_and(|field| field.is_null() || field.is_string());
    ensure!(fits, "no field: {body}");
    Ok(error)
}
