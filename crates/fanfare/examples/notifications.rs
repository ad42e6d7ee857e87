//! Notifications that HTTP handlers push: `cargo run -p fanfare --example notifications`.

use actix_web::{App, Error, HttpRequest, HttpResponse, error::ErrorBadRequest, web};
use fanfare::middleware::Authenticate;
use fanfare::{CloseCode, Cluster, Consumer, Frames, SendError, Server, User, consumer};
use serde::{Deserialize, Serialize};

/// Receives the events for everyone and for its user, and sends them to the client as JSON.
struct Notifications;

impl Consumer for Notifications {
    type Event = Frames;
}

/// The body of a request. It is published as an event.
#[derive(Serialize, Deserialize)]
#[serde(tag = "type", rename = "note")]
struct Note {
    text: String,
}

async fn tell_everyone(cluster: Cluster, note: web::Json<Note>) -> Result<HttpResponse, SendError> {
    cluster.broadcast(&*note).await?;
    Ok(HttpResponse::Accepted().finish())
}

async fn tell_user(
    cluster: Cluster,
    user: web::Path<String>,
    note: web::Json<Note>,
) -> Result<HttpResponse, SendError> {
    cluster.send_to_user(&user, &*note).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Closes all sessions of the user, on every node. The program chooses the close code.
async fn end_sessions(
    cluster: Cluster,
    user: web::Path<String>,
) -> Result<HttpResponse, SendError> {
    cluster
        .disconnect_user(&user, CloseCode(4001), "go away")
        .await?;
    Ok(HttpResponse::Accepted().finish())
}

/// For development only: believes any `?user=ann`. A real resolver looks up a cookie or checks a
/// token.
async fn whoever_they_say(request: &HttpRequest) -> Result<Option<User>, Error> {
    let query = web::Query::<Who>::from_query(request.query_string()).ok();
    let user = query.map(|who| User::new(who.into_inner().user));
    user.transpose().map_err(ErrorBadRequest)
}

#[derive(Deserialize)]
struct Who {
    user: String,
}

pub(crate) fn routes(app: &mut web::ServiceConfig) {
    let websockets = web::scope("/ws")
        .wrap(Authenticate::new(whoever_they_say))
        .service(consumer("/notifications/", || Notifications));
    app.service(websockets)
        .route("/notifications", web::post().to(tell_everyone))
        .route("/users/{user}/notifications", web::post().to(tell_user))
        .route("/users/{user}/sessions", web::delete().to(end_sessions));
}

#[actix_web::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    tracing_subscriber::fmt::init();
    let address = std::env::args().nth(1).unwrap_or("127.0.0.1:8000".into());
    let server = Server::new(Cluster::memory()?, || App::new().configure(routes)).bind(address)?;
    for address in server.addresses() {
        println!("notifications: connect with a WebSocket client, and push with curl");
        println!("  ws://{address}/ws/notifications/?user=ann");
        for path in ["notifications", "users/ann/notifications"] {
            println!("  curl http://{address}/{path} --json '{{\"text\":\"hello\"}}'");
        }
        println!("  curl -X DELETE http://{address}/users/ann/sessions");
    }
    Ok(server.serve().await?)
}
