//! The parts of the kit for several nodes, leases, and clients with cookies.

use std::time::Duration;

use actix_web::cookie::Cookie;
use actix_web::error::ErrorBadRequest;
use actix_web::{App, Error, HttpRequest, HttpResponse, web};
use fanfare::middleware::Authenticate;
use fanfare::testing::{self, Application};
use fanfare::{Cluster, Consumer, Frame, Frames, InvalidLease, Outcome, Session, User, consumer};
use serde_json::{Value, json};

use super::examples::{clock, guide_rooms};

async fn rooms(cluster: &Cluster) -> Application {
    Application::with(cluster.clone(), || {
        App::new().configure(guide_rooms::routes)
    })
    .await
}

#[actix_web::test]
async fn a_message_in_a_room_reaches_a_client_of_another_node() {
    testing::pause();
    let [here, there] = testing::nodes();
    let rooms = || App::new().configure(guide_rooms::routes);
    let (here, there) = (
        Application::with(here, rooms).await,
        Application::with(there, rooms).await,
    );
    let ann = here.connect("/ws/room/lobby/").await.accepted();
    let mut bob = there.connect("/ws/room/lobby/").await.accepted();
    ann.send_text("hello").await;
    let said: Value = bob.receive_json().await;
    assert_eq!(said, json!({"type": "room.said", "text": "hello"}));
    assert_eq!(here.cluster().count("room_lobby").await.unwrap().members, 2);
}

async fn log_in(name: web::Path<String>) -> HttpResponse {
    let cookie = Cookie::new("user", name.into_inner());
    HttpResponse::Ok().cookie(cookie).finish()
}

async fn log_out() -> HttpResponse {
    let mut cookie = Cookie::new("user", "");
    cookie.make_removal();
    HttpResponse::Ok().cookie(cookie).finish()
}

async fn by_cookie(request: &HttpRequest) -> Result<Option<User>, Error> {
    let cookie = request.cookie("user");
    let user = cookie.map(|cookie| User::new(cookie.value()));
    user.transpose().map_err(ErrorBadRequest)
}

fn accounts(app: &mut web::ServiceConfig) {
    let sockets = web::scope("/ws")
        .wrap(Authenticate::new(by_cookie).required())
        .service(consumer("/greeting/", || Greeting));
    app.route("/login/{name}", web::get().to(log_in))
        .route("/logout", web::get().to(log_out))
        .service(sockets);
}

struct Greeting;

impl Consumer for Greeting {
    type Event = Frames;

    async fn receive(&mut self, session: &mut Session, _: Frame) -> Outcome {
        let greeting = format!("hello {}", session.user().unwrap_or("you"));
        Ok(session.send_text(&greeting).await?)
    }
}

#[actix_web::test]
async fn who_has_logged_in_has_a_session_of_their_own() {
    testing::pause();
    let app = Application::new(|| App::new().configure(accounts)).await;
    let ann = app.browser();
    assert_eq!(ann.connect("/ws/greeting/").await.rejected().status, 401);
    ann.get("/login/ann").await;
    let mut client = ann.connect("/ws/greeting/").await.accepted();
    client.send_text("who am I?").await;
    assert_eq!(client.receive_text().await, "hello ann");
    ann.get("/logout").await;
    assert!(!ann.connect("/ws/greeting/").await.is_accepted());
}

#[actix_web::test]
async fn each_browser_has_cookies_of_its_own_which_a_test_can_set_and_read() {
    testing::pause();
    let app = Application::new(|| App::new().configure(accounts)).await;
    let (ann, bob) = (app.browser(), app.browser());
    ann.set_cookie("theme", "dark");
    ann.get("/login/ann").await;
    assert_eq!(ann.cookie("user").as_deref(), Some("ann"));
    assert_eq!(ann.cookie("theme").as_deref(), Some("dark"));
    assert_eq!(bob.cookie("user"), None);
    assert!(ann.connect("/ws/greeting/").await.is_accepted());
    assert!(!bob.connect("/ws/greeting/").await.is_accepted());
}

#[actix_web::test]
async fn what_a_client_says_reaches_the_room_on_another_node() {
    testing::pause();
    let [here, there] = testing::nodes();
    let (one, two) = (rooms(&here).await, rooms(&there).await);
    let mut ann = one.connect("/ws/room/lobby/").await.accepted();
    let mut bob = two.connect("/ws/room/lobby/").await.accepted();
    let mut eve = two.connect("/ws/room/cellar/").await.accepted();
    for text in ["one", "two"] {
        ann.send_text(text).await;
        for client in [&mut ann, &mut bob] {
            let said: Value = client.receive_json().await;
            assert_eq!(said, json!({"type": "room.said", "text": text}));
        }
    }
    eve.receive_nothing().await;
    let count = here.count("room_lobby").await.unwrap();
    assert_eq!((count.members, count.missing), (2, vec![]));
    assert_eq!(here.local().count("room_lobby").unwrap(), 1);

    // A session's channel and a close reach it from the other node.
    let note = json!({"type": "note"});
    here.send(bob.channel(), &note).await.unwrap();
    assert_eq!(bob.receive_json::<Value>().await, note);
    here.disconnect_channel(bob.channel(), 4001, "bye")
        .await
        .unwrap();
    assert_eq!(bob.closed().await, (4001, "bye"));
}

#[actix_web::test]
async fn a_node_that_has_left_is_not_waited_for() {
    testing::pause();
    let [here, there] = testing::nodes();
    let one = rooms(&here).await;
    let mut ann = one.connect("/ws/room/lobby/").await.accepted();
    there.close().await;
    ann.send_text("alone").await;
    assert_eq!(ann.receive_json::<Value>().await["text"], "alone");
    assert_eq!(here.count("room_lobby").await.unwrap().missing, []);
    assert!(there.broadcast(&json!({"type": "note"})).await.is_err());
}

#[actix_web::test]
async fn one_of_two_nodes_has_the_clock_and_the_other_continues() {
    testing::pause();
    let [here, there] = testing::nodes();
    let app = Application::with(here.clone(), || App::new().configure(clock::routes)).await;
    let mut client = app.connect("/ws/clock/").await.accepted();
    client.timeout(Duration::from_secs(10));
    let clocks = [&here, &there].map(|node| actix_web::rt::spawn(clock::run(node.clone())));
    let seconds = async |client: &mut testing::WebSocket, count: u64| {
        for _ in 0..count {
            client.receive_json::<Value>().await;
        }
    };
    seconds(&mut client, 1).await;
    let start = tokio::time::Instant::now();
    seconds(&mut client, 20).await;
    // With two clocks it would be ten seconds.
    assert_eq!(start.elapsed().as_secs(), 20);

    // The node without sessions has it, or the other; whoever ends, it goes on.
    there.close().await;
    seconds(&mut client, 5).await;
    let [first, second] = clocks;
    second.await.unwrap().unwrap();
    assert!(!first.is_finished());
    here.close().await;
    first.await.unwrap().unwrap();
}

#[actix_web::test]
async fn a_claim_that_is_dropped_or_released_is_free_for_the_other_node() {
    testing::pause();
    let [here, there] = testing::nodes();
    let ttl = Duration::from_secs(3600);
    let (one, two) = (
        here.lease("job", ttl).unwrap(),
        there.lease("job", ttl).unwrap(),
    );
    let claim = one.try_claim().await.unwrap().unwrap();
    // It is renewed for as long as it is wanted.
    tokio::time::sleep(ttl * 10).await;
    assert!(claim.is_held());
    for attempt in [&one, &two] {
        assert!(attempt.try_claim().await.unwrap().is_none());
    }
    claim.release().await;
    let claim = two.try_claim().await.unwrap().unwrap();
    drop(claim);
    testing::settled().await;
    assert!(one.try_claim().await.unwrap().is_some());
    // One whose future is dropped in the middle is given back too.
    testing::settled().await;
    let mut claiming = Box::pin(two.claim());
    assert!(futures_util::poll!(&mut claiming).is_pending());
    drop(claiming);
    testing::settled().await;
    assert!(one.try_claim().await.unwrap().is_some());
}

#[actix_web::test]
async fn work_that_ends_gives_the_lease_back_and_answers() {
    let [here, there] = testing::nodes();
    let ttl = Duration::from_secs(3600);
    let lease = here.lease("job", ttl).unwrap();
    let done = tokio::spawn(lease.run(async || 7)).await.unwrap();
    assert_eq!(done, Some(7));
    assert!(
        there
            .lease("job", ttl)
            .unwrap()
            .try_claim()
            .await
            .unwrap()
            .is_some()
    );
}

#[test]
fn a_lease_without_a_usable_name_or_time_is_refused() {
    let cluster = Cluster::memory().unwrap();
    let refused = cluster
        .lease("no\nname", Duration::from_secs(1))
        .unwrap_err();
    assert!(matches!(refused, InvalidLease::Name(_)), "{refused}");
    let refused = cluster.lease("name", Duration::from_millis(1)).unwrap_err();
    assert_eq!(refused, InvalidLease::TooShort(Duration::from_millis(1)));
}
