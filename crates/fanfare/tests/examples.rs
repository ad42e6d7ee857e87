//! What the examples do, driven by the testing kit.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::http::StatusCode;
use actix_web::test::TestRequest;
use actix_web::{App, HttpServer, web};
use fanfare::testing::{self, Application, Connecting, LiveServer, WebSocket};
use fanfare::{CloseCode, Cluster};
use fanfare_rig::RedisServer;
use serde_json::{Value, json};

#[path = "../examples/actors.rs"]
mod actors;
#[path = "../examples/chat.rs"]
mod chat;
#[path = "../examples/clock.rs"]
pub(crate) mod clock;
#[path = "../examples/direct.rs"]
mod direct;
#[path = "../examples/game.rs"]
mod game;
#[path = "../examples/guide_rooms.rs"]
pub(crate) mod guide_rooms;
#[path = "../examples/notifications.rs"]
mod notifications;
#[path = "../examples/worker.rs"]
mod worker;

/// How long what goes over the network may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(20);

#[actix_web::test]
async fn everyone_in_a_room_hears_what_is_said_there_and_by_whom() {
    testing::pause();
    let app = Application::new(|| App::new().configure(chat::routes)).await;
    let mut ann = app.connect("/ws/chat/lobby/ann/").await.accepted();
    let mut bob = app.connect("/ws/chat/lobby/bob%20b./").await.accepted();
    let mut eve = app.connect("/ws/chat/cellar/eve/").await.accepted();
    bob.send_text("hello").await;
    assert_eq!(ann.receive_text().await, "bob b.: hello");
    assert_eq!(bob.receive_text().await, "bob b.: hello");
    eve.receive_nothing().await;
    bob.disconnect(1000).await;
    assert_eq!(app.cluster().local().count("chat_lobby").unwrap(), 1);
}

#[actix_web::test]
async fn the_chat_comes_with_a_page() {
    let app = Application::new(|| App::new().configure(chat::routes)).await;
    let page = app.get("/").await;
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert!(page.text().contains("new WebSocket"));
}

#[actix_web::test]
async fn an_http_handler_notifies_everyone_and_one_user() {
    testing::pause();
    let app = Application::new(|| App::new().configure(notifications::routes)).await;
    let mut ann = app.connect("/ws/notifications/?user=ann").await.accepted();
    let mut stranger = app.connect("/ws/notifications/").await.accepted();
    let note = |text: &str| json!({ "text": text });
    let heard = |text: &str| json!({ "type": "note", "text": text });

    let post = TestRequest::post().uri("/notifications");
    let answer = app.request(post.set_json(note("for all"))).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    for client in [&mut ann, &mut stranger] {
        assert_eq!(client.receive_json::<Value>().await, heard("for all"));
    }

    let post = TestRequest::post().uri("/users/ann/notifications");
    let answer = app.request(post.set_json(note("for ann"))).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(ann.receive_json::<Value>().await, heard("for ann"));
    stranger.receive_nothing().await;
}

#[actix_web::test]
async fn an_http_handler_closes_all_sessions_of_a_user_and_no_other() {
    testing::pause();
    let app = Application::new(|| App::new().configure(notifications::routes)).await;
    let asked = ["ann", "ann", "bob"].map(|user| format!("/ws/notifications/?user={user}"));
    let mut windows = Vec::new();
    for path in asked {
        windows.push(app.connect(&path).await.accepted());
    }
    let mut bob = windows.pop().unwrap();
    let delete = TestRequest::delete().uri("/users/ann/sessions");
    assert_eq!(app.request(delete).await.status, StatusCode::ACCEPTED);
    for window in &mut windows {
        assert_eq!(window.closed().await, (4001, "go away"));
    }
    bob.receive_nothing().await;
}

#[actix_web::test]
async fn a_user_that_cannot_be_named_is_answered_400() {
    let app = Application::new(|| App::new().configure(notifications::routes)).await;
    let path = format!("/users/{}/notifications", "x".repeat(100));
    let post = TestRequest::post().uri(&path);
    let answer = app.request(post.set_json(json!({ "text": "hello" }))).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.json::<Value>()["error"]["code"], "invalid_name");
}

#[actix_web::test]
async fn a_letter_reaches_all_windows_of_its_user_and_nobody_else() {
    testing::pause();
    let app = Application::new(|| App::new().configure(direct::routes)).await;
    let connect = async |user: &str| {
        let asking = app.websocket("/ws/inbox/").header("x-user", user);
        asking.connect().await.accepted()
    };
    let mut windows = [connect("ann").await, connect("ann").await];
    let mut bob = connect("bob").await;
    bob.send_json(&json!({ "to": "ann", "text": "hello" }))
        .await;
    for window in &mut windows {
        let letter: Value = window.receive_json().await;
        assert_eq!(
            letter,
            json!({ "type": "inbox.letter", "from": "bob", "text": "hello" })
        );
    }
    bob.receive_nothing().await;

    bob.send_text("hello?").await;
    let told: Value = bob.receive_json().await;
    assert_eq!(told["error"]["code"], "invalid_json");
}

#[actix_web::test]
async fn an_inbox_needs_a_user() {
    let app = Application::new(|| App::new().configure(direct::routes)).await;
    let answer = app.connect("/ws/inbox/").await.rejected();
    assert_eq!(answer.status, StatusCode::UNAUTHORIZED);
}

/// What the game tells a player first that is like this.
async fn told(player: &mut WebSocket, like: impl Fn(&Value) -> bool) -> Value {
    let telling = async {
        loop {
            let told: Value = player.receive_json().await;
            if like(&told) {
                return told;
            }
        }
    };
    // It never falls silent.
    let telling = tokio::time::timeout(100 * game::TICK, telling);
    telling.await.unwrap()
}

fn of_type(kind: &str) -> impl Fn(&Value) -> bool {
    move |told| told["type"] == kind
}

#[actix_web::test]
async fn who_steers_onto_the_coin_scores_and_all_players_hear_it() {
    testing::pause();
    let world = game::World::default();
    let app = Application::new(|| App::new().configure(game::routes(world))).await;
    let mut ann = app.connect("/ws/game/ann/").await.accepted();
    let mut bob = app.connect("/ws/game/bob/").await.accepted();
    // Up and away, out of a board that has no edge.
    bob.send_json(&json!({ "type": "turn", "direction": "up" }))
        .await;

    let first = told(&mut ann, of_type("world")).await;
    assert_eq!(first["coin"], json!([4, 0]));
    for player in [&mut ann, &mut bob] {
        let caught = told(player, of_type("caught")).await;
        assert_eq!(
            caught,
            json!({ "type": "caught", "player": "ann", "score": 1 })
        );
    }
    let players = told(&mut bob, of_type("world")).await["players"].clone();
    let places: Vec<_> = players
        .as_array()
        .unwrap()
        .iter()
        .map(|seen| &seen["at"])
        .collect();
    let column = |place: &&Value| place[0].as_u64().unwrap();
    assert!(places.iter().any(|place| column(place) == 0), "{places:?}");
    assert!(places.iter().any(|place| column(place) >= 4), "{places:?}");

    ann.disconnect(1000).await;
    let alone = |told: &Value| told["players"].as_array().is_some_and(|all| all.len() == 1);
    told(&mut bob, alone).await;
}

#[actix_web::test]
async fn a_session_gets_the_answer_of_a_worker() {
    testing::pause();
    let app = Application::new(|| App::new().configure(worker::routes)).await;
    let workers = worker::workers(app.cluster()).unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = actix_web::rt::spawn(workers.run(async {
        let _stop = stopped.await;
    }));
    let mut client = app.connect("/ws/primes/").await.accepted();
    client.send_text("twenty").await;
    assert_eq!(client.receive_text().await, "send a number up to 1000000");
    client.send_text("20").await;
    assert_eq!(client.receive_text().await, "there are 8 primes below 20");
    drop(stop);
    assert_eq!(working.await.unwrap().done, 1);
}

/// The example with actors under the server of actix-web.
fn plain_server(cluster: &Cluster) -> (SocketAddr, ServerHandle) {
    let shared = cluster.clone();
    let app = move || {
        App::new()
            .app_data(shared.clone())
            .configure(actors::routes)
    };
    let server = HttpServer::new(app).workers(1).disable_signals();
    let server = server.bind("127.0.0.1:0").unwrap();
    let address = server.addrs()[0];
    let running = server.run();
    let handle = running.handle();
    actix_web::rt::spawn(running);
    (address, handle)
}

/// Reads on until this text comes.
async fn hear(client: &mut WebSocket, text: &str) {
    while client.receive_text().await != text {}
}

#[actix_web::test]
async fn sessions_of_actix_web_actors_join_the_cluster() {
    let cluster = Cluster::memory().unwrap();
    let (address, server) = plain_server(&cluster);
    let mut clients = Vec::new();
    for said in ["one", "two"] {
        let answer = Connecting::to(address, "/ws/talk").connect().await;
        let mut client = answer.accepted();
        client.timeout(LIMIT);
        // A session handles what its client says once it has joined.
        client.send_text(said).await;
        hear(&mut client, said).await;
        clients.push(client);
    }
    hear(&mut clients[0], "two").await;
    let event = json!({ "type": "talk.said", "text": "from elsewhere" });
    cluster.group_send(actors::GROUP, &event).await.unwrap();
    for client in &mut clients {
        assert_eq!(client.receive_text().await, "from elsewhere");
    }

    let closing = cluster.disconnect_group(actors::GROUP, CloseCode(4001), "closing time");
    closing.await.unwrap();
    for client in &mut clients {
        assert_eq!(client.closed().await, (4001, "closing time"));
    }
    server.stop(true).await;
    assert_eq!(cluster.local().count(actors::GROUP).unwrap(), 0);
}

#[actix_web::test]
async fn a_room_reaches_over_two_nodes_with_redis() {
    let redis = RedisServer::start().unwrap();
    let node = || {
        let cluster = Cluster::redis([redis.url()]).unwrap();
        let app = || App::new().configure(guide_rooms::routes);
        LiveServer::options().cluster(cluster).start(app)
    };
    let (here, there) = (node(), node());
    let mut ann = here.connect("/ws/room/lobby/").await.accepted();
    let mut bob = there.connect("/ws/room/lobby/").await.accepted();
    ann.send_text("hello").await;
    for client in [&mut ann, &mut bob] {
        client.timeout(LIMIT);
        assert_eq!(
            client.receive_json::<Value>().await,
            json!({ "type": "room.said", "text": "hello" })
        );
    }
    // The drop of a live server waits for its clients, which live on this thread.
    for client in [ann, bob] {
        client.disconnect(1000).await;
    }
    let stopped = web::block(move || drop((here, there)));
    stopped.await.unwrap();
}
