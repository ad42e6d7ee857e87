//! Events that close sessions, published by unmodified channels_redis.

use anyhow::{Result, ensure};
use fanfare_rig::{
    Cluster, ClusterOptions, PythonBackend, PythonLayer, PythonOptions, RedisServer, Socket,
};
use serde_json::{Value, json};

use crate::support::{GROUP_ROUTE, SOON, said, say};

const FORMATS: [(&str, PythonBackend); 2] = [
    ("pubsub", PythonBackend::PubSub),
    ("core", PythonBackend::Core),
];

struct Scene {
    _redis: RedisServer,
    cluster: Cluster,
    python: PythonLayer,
}

impl Scene {
    async fn new(format: &str, backend: PythonBackend, honoured: bool) -> Result<Self> {
        let redis = RedisServer::start()?;
        let cluster = ClusterOptions::new().redis(&redis.url());
        let cluster = cluster.set("layer.format", format).config(GROUP_ROUTE);
        let cluster = cluster.set("layer.close_events", honoured).start().await?;
        let python = PythonOptions::new(backend, [redis.url()]);
        Ok(Self {
            python: PythonLayer::with(&python).await?,
            cluster,
            _redis: redis,
        })
    }

    async fn connect(&self, path: &str) -> Result<Socket> {
        self.cluster[0].connect(path).await
    }
}

fn close(code: u16, reason: &str) -> Value {
    json!({"type": "fanfare.close", "code": code, "reason": reason})
}

/// The close event as a client gets it that is not closed by it.
async fn gets_it(socket: &mut Socket, event: &Value) -> Result<()> {
    let got: Value = serde_json::from_str(&socket.text().await?)?;
    ensure!(got == *event, "{got}");
    Ok(())
}

#[tokio::test]
async fn python_closes_everyone_a_user_and_a_session_where_that_is_honoured() -> Result<()> {
    for (format, backend) in FORMATS {
        let mut scene = Scene::new(format, backend, true).await?;
        let mut ann = scene.connect("/g/red?user=ann").await?;
        let mut bob = scene.connect("/g/red?user=bob").await?;
        let mut guest = scene.connect("/g/red").await?;

        let python = &mut scene.python;
        python.group_send("fanfare.user.ann", &say("first")).await?;
        let logged_out = close(4401, "logged out");
        python.group_send("fanfare.user.ann", &logged_out).await?;
        ensure!(ann.text().await? == said("first"), "what came before");
        ensure!(ann.close_code().await? == 4401, "{format}: a user");

        let plain = json!({"type": "fanfare.close"});
        python.send(guest.channel(), &plain).await?;
        ensure!(guest.close_code().await? == 4000, "{format}: a session");

        python.group_send("fanfare.all", &close(1001, "")).await?;
        ensure!(bob.close_code().await? == 1001, "{format}: everyone");
    }
    Ok(())
}

#[tokio::test]
async fn a_close_event_in_a_group_of_the_application_is_an_event_like_another() -> Result<()> {
    for (format, backend) in FORMATS {
        let mut scene = Scene::new(format, backend, true).await?;
        let mut socket = scene.connect("/g/red").await?;
        let event = close(4000, "forged");
        scene.python.group_send("red", &event).await?;
        gets_it(&mut socket, &event).await?;
        if backend == PythonBackend::Core {
            // Then the message has the name of the session, as one for it alone has.
            let channel = socket.channel().to_owned();
            scene.python.group_add("blue", &channel).await?;
            scene.python.group_send("blue", &event).await?;
            gets_it(&mut socket, &event).await?;
        }
        socket.send_text("still open").await?;
        ensure!(socket.text().await? == said("still open"), "{format}");
    }
    Ok(())
}

#[tokio::test]
async fn by_default_a_close_event_closes_nobody() -> Result<()> {
    for (format, backend) in FORMATS {
        let mut scene = Scene::new(format, backend, false).await?;
        let mut socket = scene.connect("/g/red?user=ann").await?;
        let event = close(4000, "forged");
        scene.python.group_send("fanfare.all", &event).await?;
        gets_it(&mut socket, &event).await?;
        scene.python.group_send("fanfare.user.ann", &event).await?;
        gets_it(&mut socket, &event).await?;
        let channel = socket.channel().to_owned();
        scene.python.send(&channel, &event).await?;
        gets_it(&mut socket, &event).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_close_event_with_an_impossible_code_is_dropped_and_counted() -> Result<()> {
    for (format, backend) in FORMATS {
        let mut scene = Scene::new(format, backend, true).await?;
        let mut socket = scene.connect("/g/red").await?;
        let python = &mut scene.python;
        python.group_send("fanfare.all", &close(1006, "")).await?;
        python.group_send("fanfare.all", &say("after")).await?;
        ensure!(socket.text().await? == said("after"), "{format}");
        let cause = [("cause", "bad_close")];
        let node = &scene.cluster[0];
        let one = |count: f64| count == 1.0;
        node.metric_when("fanfare_layer_dropped_total", &cause, SOON, one)
            .await?;
    }
    Ok(())
}
