//! The sample Django project (`tests/django/`) with Fanfare in place of its sockets: its pages, its
//! views, its worker, its `fanfare.toml` and its `nginx.conf`, on unmodified packages.

use std::fs;
use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use fanfare_rig::{
    API_KEY, DjangoLayer, DjangoSite, Nginx, Node, RedisServer, Socket, Turn, Visitor, eventually,
    sample,
};
use serde_json::{Value, json};

use crate::support::{SOON, subscribed};

mod channels;
mod guide;
mod pages;
mod spellings;

const ROOM: &str = "/ws/chat/lobby/";

/// Which class of channels_redis the site uses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    PubSub,
    Core,
}

impl Format {
    fn layer(self, redis: &RedisServer) -> DjangoLayer {
        let (backend, host) = match self {
            Self::PubSub => (
                "channels_redis.pubsub.RedisPubSubChannelLayer",
                json!(redis.url()),
            ),
            // With the default of redis-py 8 an idle worker ends after five seconds.
            Self::Core => (
                "channels_redis.core.RedisChannelLayer",
                json!({ "address": redis.url(), "socket_timeout": null }),
            ),
        };
        DjangoLayer {
            backend: backend.to_owned(),
            config: json!({ "hosts": [host] }),
        }
    }

    /// The value of `layer.format`.
    fn name(self) -> &'static str {
        match self {
            Self::PubSub => "pubsub",
            Self::Core => "core",
        }
    }
}

/// Django and what it needs, with two nodes of Fanfare and nginx in front of all.
struct Site {
    nginx: Nginx,
    nodes: Vec<Node>,
    django: DjangoSite,
    redis: RedisServer,
    _turn: Turn,
}

impl Site {
    async fn start(format: Format) -> Result<Self> {
        let turn = Turn::shared().await;
        let redis = RedisServer::start()?;
        let layer = format.layer(&redis);
        let mut django = DjangoSite::start(layer, &["ann", "bob", "staff"]).await?;
        let mut nodes = Vec::new();
        for name in ["one", "two"] {
            nodes.push(node(name, format, &redis, &django, &[]).await?);
        }
        ask(&mut django, nodes.first().context("a node")?, &[]).await?;
        let addresses = [("8001", nodes.first()), ("8002", nodes.get(1))];
        let addresses = addresses.map(|(port, node)| {
            let new = node.map(|node| node.address().to_string());
            (format!("127.0.0.1:{port}"), new.unwrap_or_default())
        });
        let mut replace = vec![("127.0.0.1:8000", django.address().to_string())];
        replace.extend(
            addresses
                .iter()
                .map(|(old, new)| (old.as_str(), new.clone())),
        );
        let nginx = Nginx::start(&sample().join("nginx.conf"), &replace).await?;
        Ok(Self {
            nginx,
            nodes,
            django,
            redis,
            _turn: turn,
        })
    }

    /// Somebody who has logged in through nginx.
    async fn visitor(&self, name: &str) -> Result<Visitor> {
        let mut visitor = Visitor::new(self.nginx.address())?;
        visitor.login(name).await?;
        Ok(visitor)
    }

    /// Opens a room through nginx, and reads the welcome.
    async fn open(&self, visitor: &Visitor) -> Result<Socket> {
        welcomed(visitor, self.nginx.address(), ROOM).await
    }
}

/// A node with the `fanfare.toml` of the sample, but for what a machine decides.
async fn node(
    name: &str,
    format: Format,
    redis: &RedisServer,
    django: &DjangoSite,
    more: &[String],
) -> Result<Node> {
    let config = fs::read_to_string(sample().join("fanfare.toml"))?;
    let mut sets = vec![
        "http.bind=127.0.0.1:0".to_owned(),
        format!("api.keys=[\"{API_KEY}\"]"),
        format!("auth.url={}/fanfare/auth/", django.url()),
        format!("layer.format={}", format.name()),
        format!("layer.redis.hosts=[\"{}\"]", redis.url()),
    ];
    sets.extend_from_slice(more);
    let node = Node::start(name, &config, &sets).await?;
    node.ready_is(200, SOON).await.with_context(|| node.log())?;
    Ok(node)
}

/// Has Django ask a node whose session a channel is, which also came up after Django did.
async fn ask(django: &mut DjangoSite, node: &Node, more: &[(&str, &str)]) -> Result<()> {
    let api = format!("{}/api/v1", node.url());
    let own = [("FANFARE_API", &*api), ("FANFARE_API_KEY", API_KEY)];
    django.restart_with(&[&own, more].concat()).await
}

async fn welcomed(visitor: &Visitor, address: SocketAddr, path: &str) -> Result<Socket> {
    let mut socket = visitor.open(address, path).await?;
    let welcome = socket.json().await?;
    ensure!(
        welcome == json!({"type": "welcome", "channel": socket.channel()}),
        "a welcome: {welcome}"
    );
    Ok(socket)
}

/// Posts a form and insists on the 204 of the sample's views.
async fn post(visitor: &mut Visitor, path: &str, fields: &[(&str, &str)]) -> Result<()> {
    let answer = visitor.post(path, fields).await?;
    ensure!(answer.status == 204, "{path}: {answer:?}");
    Ok(())
}

fn frame(kind: &str, text: &str) -> Value {
    json!({"type": kind, "text": text})
}

#[tokio::test]
async fn what_views_and_sockets_publish_reaches_whom_it_is_for() -> Result<()> {
    a_day_of_a_site(Format::PubSub).await
}

#[tokio::test]
async fn on_core_too_what_views_and_sockets_publish_reaches_whom_it_is_for() -> Result<()> {
    a_day_of_a_site(Format::Core).await
}

async fn a_day_of_a_site(format: Format) -> Result<()> {
    let site = Site::start(format).await?;
    let mut ann = site.visitor("ann").await?;
    let mut bob = site.visitor("bob").await?;
    let mut at_ann = site.open(&ann).await?;
    let mut at_bob = site.open(&bob).await?;
    let node_of = |socket: &Socket| socket.channel().split('!').next().map(str::to_owned);
    assert_ne!(node_of(&at_ann), node_of(&at_bob), "nginx spreads sockets");

    at_ann.send_text("from a socket").await?;
    post(&mut bob, "/chat/lobby/say/", &[("text", "from a view")]).await?;
    for socket in [&mut at_ann, &mut at_bob] {
        let mut both = vec![socket.json().await?, socket.json().await?];
        both.sort_by_key(|message| message.get("user").is_some());
        let spoken = json!({"type": "chat.message", "message": "from a socket"});
        let said = json!({"type": "chat.message", "message": "from a view", "user": "bob"});
        assert_eq!(both, [spoken, said]);
    }

    let channel = at_ann.channel().to_owned();
    post(&mut ann, "/connection/", &[("channel", &channel)]).await?;
    let fields = [("to", "ann"), ("text", "for one connection")];
    post(&mut bob, "/direct/", &fields).await?;
    let direct = json!({"type": "direct", "from": "bob", "text": "for one connection"});
    assert_eq!(at_ann.json().await?, direct);

    let mut also_bob = site.open(&bob).await?;
    let fields = [("to", "bob"), ("text", "for one user")];
    post(&mut ann, "/notify/", &fields).await?;
    for socket in [&mut at_bob, &mut also_bob] {
        let due = frame("notification", "for one user");
        assert_eq!(socket.json().await?, due);
    }

    // What follows shows too that nothing of the above went astray.
    post(&mut bob, "/broadcast/", &[("text", "for everyone")]).await?;
    for socket in [&mut at_ann, &mut at_bob, &mut also_bob] {
        assert_eq!(socket.json().await?, frame("broadcast", "for everyone"));
    }
    site.django.manage(&["announce", "from a command"]).await?;
    for socket in [&mut at_ann, &mut at_bob, &mut also_bob] {
        assert_eq!(socket.json().await?, frame("broadcast", "from a command"));
    }
    Ok(())
}

#[tokio::test]
async fn django_says_who_a_socket_belongs_to_which_groups_it_joins_and_whom_to_refuse() -> Result<()>
{
    let site = Site::start(Format::PubSub).await?;
    let refused = async |visitor: &Visitor, path: &str| {
        let error = visitor.open(site.nginx.address(), path).await.err();
        error.map(|error| format!("{error:#}")).unwrap_or_default()
    };
    let anonymous = Visitor::new(site.nginx.address())?;
    assert!(refused(&anonymous, ROOM).await.contains("403"));

    let mut ann = site.visitor("ann").await?;
    let staff = site.visitor("staff").await?;
    let mut at_ann = site.open(&ann).await?;
    assert!(refused(&ann, "/ws/chat/staff/").await.contains("403"));
    let address = site.nginx.address();
    let mut at_staff = welcomed(&staff, address, "/ws/chat/staff/").await?;

    let only = ["announce", "--group", "staff", "for staff"];
    site.django.manage(&only).await?;
    site.django.manage(&["announce", "for everyone"]).await?;
    assert_eq!(at_staff.json().await?, frame("broadcast", "for staff"));
    for socket in [&mut at_staff, &mut at_ann] {
        assert_eq!(socket.json().await?, frame("broadcast", "for everyone"));
    }

    let copy = ann.clone();
    let answer = ann.post("/logout/", &[]).await?;
    assert_eq!(answer.status, 302, "{answer:?}");
    assert!(refused(&ann, ROOM).await.contains("403"));
    // What Django said a moment ago still counts for the same cookies.
    eventually(SOON, "the old session refused", async || {
        Ok(refused(&copy, ROOM).await.contains("403").then_some(()))
    })
    .await?;
    let answer = ann.get("/fanfare/auth/").await?;
    assert_eq!(answer.status, 404, "nobody else asks there: {answer:?}");
    Ok(())
}

#[tokio::test]
async fn a_worker_in_python_answers_the_socket_that_asked() -> Result<()> {
    a_job(Format::PubSub).await
}

#[tokio::test]
async fn on_core_too_a_worker_in_python_answers_the_socket_that_asked() -> Result<()> {
    a_job(Format::Core).await
}

async fn a_job(format: Format) -> Result<()> {
    let site = Site::start(format).await?;
    let _worker = site.django.spawn(&["runworker", "work"])?;
    if format == Format::PubSub {
        // This format keeps nothing for a worker that is not there yet.
        subscribed(&site.redis, "work", 1).await?;
    }
    let mut ann = site.visitor("ann").await?;
    let mut socket = site.open(&ann).await?;
    let channel = socket.channel().to_owned();
    post(&mut ann, "/connection/", &[("channel", &channel)]).await?;
    post(&mut ann, "/work/", &[("text", "desserts")]).await?;
    assert_eq!(socket.json().await?, frame("done", "stressed"));

    let node = site.nodes.first().context("a node")?;
    let job = json!({"type": "text.reverse", "text": "straw", "reply_to": channel});
    node.api().publish_channel("work", &job).await?;
    assert_eq!(socket.json().await?, frame("done", "warts"));
    Ok(())
}

#[tokio::test]
async fn nginx_leads_clients_past_a_node_that_drains() -> Result<()> {
    let mut site = Site::start(Format::PubSub).await?;
    let ann = site.visitor("ann").await?;
    // One on each node; the first holds up its node's end, because nobody reads it.
    let _stays = [site.open(&ann).await?, site.open(&ann).await?];
    let draining = site.nodes.first_mut().context("a node")?;
    draining.terminate()?;
    eventually(SOON, "the drain", async || {
        let status = draining.api().status("/health/ready").await;
        Ok((status != Some(200)).then_some(()))
    })
    .await?;
    for _ in 0..4 {
        let mut socket = site.open(&ann).await?;
        socket.send_text("here again").await?;
        let heard = json!({"type": "chat.message", "message": "here again"});
        assert_eq!(socket.json().await?, heard);
        socket.close(1000).await?;
    }
    Ok(())
}
