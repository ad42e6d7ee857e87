//! Notifications that HTTP handlers push: `cargo run -p fanfare --example notifications`.

use actix_web::{App, Error, HttpRequest, HttpResponse, error::ErrorBadRequest, web};
use fanfare::middleware::Authenticate;
use fanfare::{CloseCode, Cluster, Consumer, Frames, SendError, Server, User, consumer};
use serde::{Deserialize, Serialize};

/// Hears what is for everyone, and what is for its user. Events go to the client as they are.
struct Notifications;

impl Consumer for Notifications {
    type Event = Frames;
}

/// The body of a request, and the event that it becomes.
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

/// Closes what the user has open, on every node. The code is one of this program's own.
async fn end_sessions(
    cluster: Cluster,
    user: web::Path<String>,
) -> Result<HttpResponse, SendError> {
    cluster
        .disconnect_user(&user, CloseCode(4001), "go away")
        .await?;
    Ok(HttpResponse::Accepted().finish())
}

/// For development only: believes everyone who says `?user=ann`. A real one looks up a cookie or
/// checks a token.
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
