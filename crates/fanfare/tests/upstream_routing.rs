//! What the tests of Channels' routers show; `docs/UPSTREAM-TESTS.md` says which is which.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use actix_web::middleware::from_fn;
use actix_web::{App, web};
use fanfare::testing::{self, Application, Response};
use fanfare::{
    Accept, Cluster, Consumer, Frames, Reject, Request, Session, Worker, WorkerError, Workers,
    consumer,
};

use crate::support::Log;

/// Tells which route it is at, and with which parameters.
struct At(&'static str);

impl Consumer for At {
    type Event = Frames;

    async fn connect(
        &mut self,
        session: &mut Session,
        request: &Request,
    ) -> Result<Accept, Reject> {
        let mut told = self.0.to_owned();
        for (name, value) in request.match_info().iter() {
            told.push_str(&format!(" {name}={value}"));
        }
        session.send_text(&told).await?;
        Ok(Accept::new())
    }
}

/// What the route at a path tells.
async fn at(app: &Application, path: &str) -> String {
    app.connect(path).await.accepted().receive_text().await
}

async fn rejected(app: &Application, path: &str) -> Response {
    app.connect(path).await.rejected()
}

#[actix_web::test]
async fn one_app_serves_websockets_and_http_side_by_side() {
    testing::pause();
    let app = App::new()
        .service(consumer("/ws/", || At("ws")))
        .route("/http/", web::get().to(async || "http"));
    let app = Application::new(|| app).await;
    assert_eq!(at(&app, "/ws/").await, "ws");
    assert_eq!(app.get("/http/").await.text(), "http");
    // Neither is the other.
    assert_eq!(app.get("/ws/").await.status, 426);
    assert_eq!(rejected(&app, "/http/").await.text(), "http");
    // And what is neither.
    let mut websocket = app.websocket("/ws/");
    websocket = websocket.replace("upgrade", Some("aprs"));
    assert_eq!(websocket.connect().await.rejected().status, 426);
}

/// Writes down which channel its event came by.
struct Named(&'static str, Log<&'static str>);

impl Worker for Named {
    type Event = serde_json::Value;

    async fn handle(&mut self, _: &Cluster, _: &Self::Event) -> Result<(), WorkerError> {
        self.1.push(self.0);
        Ok(())
    }
}

#[actix_web::test]
async fn events_go_to_the_worker_of_their_channel() {
    let cluster = Cluster::memory().unwrap();
    let log = Log::new();
    let (test, other) = (log.clone(), log.clone());
    let workers = Workers::new(cluster.clone())
        .channel("test", 1, move || Named("test", test.clone()))
        .unwrap()
        .channel("other_test", 1, move || Named("other_test", other.clone()))
        .unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let working = actix_web::rt::spawn(workers.run(async {
        let _stop = stopped.await;
    }));
    testing::settled().await;
    let event = serde_json::json!({ "type": "work" });
    cluster.send("test", &event).await.unwrap();
    testing::settled().await;
    assert_eq!(log.take(), ["test"]);
    cluster.send("other_test", &event).await.unwrap();
    testing::settled().await;
    assert_eq!(log.take(), ["other_test"]);
    // A channel that nobody works on, and one that is none.
    cluster.send("chat", &event).await.unwrap();
    testing::settled().await;
    assert!(log.take().is_empty());
    assert!(cluster.send("no channel", &event).await.is_err());
    drop(stop);
    working.await.unwrap();
}

#[actix_web::test]
async fn the_first_route_that_matches_counts_and_no_route_is_404() {
    testing::pause();
    let app = App::new()
        .service(consumer("/", || At("root")))
        .service(consumer("/foo/", || At("foo")))
        .service(consumer("/bar{rest:.*}", || At("bar")))
        .service(consumer("/posarg/{n:int}/", || At("posarg")))
        .service(consumer("/kwarg/{name}/", || At("kwarg")))
        .service(consumer("/kwarg/late/", || At("never")));
    let app = Application::new(|| app).await;
    assert_eq!(at(&app, "/").await, "root");
    assert_eq!(at(&app, "/foo/").await, "foo");
    assert_eq!(at(&app, "/foo").await, "foo");
    assert_eq!(at(&app, "/bar").await, "bar rest=");
    assert_eq!(at(&app, "/bar/baz/").await, "bar rest=/baz");
    assert_eq!(at(&app, "/posarg/123/").await, "posarg n=123");
    assert_eq!(at(&app, "/posarg/456/").await, "posarg n=456");
    assert_eq!(at(&app, "/kwarg/hello/").await, "kwarg name=hello");
    assert_eq!(at(&app, "/kwarg/late/").await, "kwarg name=late");
    for path in ["/nonexistent/", "/posarg/abc/", "/foo/bar/", "/kwarg//"] {
        assert_eq!(rejected(&app, path).await.status, 404, "{path}");
    }
}

#[actix_web::test]
async fn a_scope_is_the_root_of_an_application_under_a_prefix() {
    testing::pause();
    let root = web::scope("/outer")
        .service(consumer("/", || At("root")))
        .service(consumer("/foo/", || At("foo")));
    let app = Application::new(|| App::new().service(root)).await;
    assert_eq!(at(&app, "/outer/").await, "root");
    assert_eq!(at(&app, "/outer/foo/").await, "foo");
    assert_eq!(rejected(&app, "/").await.status, 404);
    assert_eq!(rejected(&app, "/foo/").await.status, 404);
}

#[actix_web::test]
async fn nested_scopes_add_their_parameters_together() {
    testing::pause();
    let universe = web::scope("/universe/{universe}/author/{author}")
        .service(consumer("/book/{book:slug}/page/{page:int}/", || {
            At("page")
        }))
        .service(consumer("/test/{n:int}/", || At("test")));
    let app = Application::new(|| App::new().service(universe)).await;
    let path = "/universe/42/author/andrewgodwin/book/channels-guide/page/10/";
    let told = "page universe=42 author=andrewgodwin book=channels-guide page=10";
    assert_eq!(at(&app, path).await, told);
    let path = "/universe/42/author/foo/test/3/";
    assert_eq!(at(&app, path).await, "test universe=42 author=foo n=3");
}

#[actix_web::test]
async fn middleware_around_a_scope_hides_none_of_its_routes() {
    testing::pause();
    let number = web::scope("/number/{number}")
        .wrap(from_fn(async |request, next| {
            actix_web::middleware::Next::call(&next, request).await
        }))
        .service(consumer("/test/{page:int}/", || At("test")));
    let app = Application::new(|| App::new().service(number)).await;
    assert_eq!(
        at(&app, "/number/42/test/3/").await,
        "test number=42 page=3"
    );
    assert_eq!(rejected(&app, "/number/42/test/3/bla/").await.status, 404);
    assert_eq!(rejected(&app, "/number/42/blub/").await.status, 404);
}

/// Adds one to the year in its path.
struct Next;

impl Consumer for Next {
    type Event = Frames;

    async fn connect(
        &mut self,
        session: &mut Session,
        request: &Request,
    ) -> Result<Accept, Reject> {
        let year: u16 = request.param("year")?;
        session.send_text(&(year + 1).to_string()).await?;
        Ok(Accept::new())
    }
}

#[actix_web::test]
async fn parameters_have_types_in_the_path_and_in_the_consumer() {
    testing::pause();
    let app = App::new()
        .service(consumer("/author/{name}/", || At("author")))
        .service(consumer("/year/{year:int}/", || Next));
    let app = Application::new(|| app).await;
    assert_eq!(
        at(&app, "/author/andrewgodwin/").await,
        "author name=andrewgodwin"
    );
    assert_eq!(at(&app, "/year/2012/").await, "2013");
    assert_eq!(rejected(&app, "/year/soon/").await.status, 404);
    // Digits, but no u16.
    assert_eq!(rejected(&app, "/year/70000/").await.status, 404);
}

#[actix_web::test]
async fn a_route_beside_a_scope_of_the_same_prefix_stands_in_front_of_it() {
    testing::pause();
    let app = App::new().service(
        web::scope("/outer")
            .service(consumer("/prefix/stuff/", || At("stuff")))
            .service(web::scope("/prefix").service(consumer("/no-match/", || At("inner")))),
    );
    let app = Application::new(|| app).await;
    assert_eq!(at(&app, "/outer/prefix/stuff/").await, "stuff");
    assert_eq!(at(&app, "/outer/prefix/no-match/").await, "inner");
    assert_eq!(
        rejected(&app, "/outer/outer/prefix/stuff/").await.status,
        404
    );
    assert_eq!(
        rejected(&app, "/outer/prefix/outer/stuff/").await.status,
        404
    );
}

#[actix_web::test]
async fn a_route_that_is_written_wrong_is_refused_when_the_app_is_built() {
    for path in [
        "no-slash/",
        "/{open",
        "/{x}/{x}/",
        "/{x:integer}/",
        "/{x:(}/",
    ] {
        let built = catch_unwind(AssertUnwindSafe(|| {
            let _route = consumer(path, || At("never"));
        }));
        assert!(built.is_err(), "{path}");
    }
}

#[actix_web::test]
async fn two_requests_at_one_time_each_have_their_own_path() {
    testing::pause();
    let slow = async |request: actix_web::HttpRequest| {
        if request.path() == "/first/" {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        request.path().to_owned()
    };
    let app = Application::new(|| App::new().default_service(web::to(slow))).await;
    // The second is answered first.
    let (first, second) = futures_util::future::join(app.get("/first/"), app.get("/second/")).await;
    assert_eq!(second.text(), "/second/");
    assert_eq!(first.text(), "/first/");
}
