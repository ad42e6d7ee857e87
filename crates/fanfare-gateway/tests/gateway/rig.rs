//! A node, the App and a server on a free port.

use std::sync::Arc;
use std::time::Duration;

use actix_web::rt::task::JoinHandle;
use fanfare_consumer::Cluster;
use fanfare_gateway::{Bind, BindError, Server, ServerHandle};
use fanfare_layer::{ChannelLayer, LayerMetrics, MemoryLayer, Publish, Sink};
use fanfare_node::{Node, NodeOptions, PingOptions};
use fanfare_protocol::{DeliverTable, Envelope, Event, GroupName, NodeId, RouteEncoder, Target};
use prometheus::Registry;
use tokio::sync::Semaphore;

use super::app::{Shared, app};
use super::client::{Client, PATIENCE, handshake};

pub(crate) struct Rig {
    pub(crate) shared: Shared,
    pub(crate) addresses: Vec<Bind>,
    pub(crate) handle: ServerHandle,
    pub(crate) run: JoinHandle<std::io::Result<()>>,
}

/// How a rig differs from the usual one.
pub(crate) struct Options {
    pub(crate) workers: usize,
    pub(crate) handshake_timeout: Duration,
    pub(crate) binds: Vec<Bind>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            workers: 1,
            // Longer than a test may take: nothing passes by running into it.
            handshake_timeout: 3 * PATIENCE,
            binds: vec![any_port()],
        }
    }
}

pub(crate) fn any_port() -> Bind {
    Bind::Tcp(([127, 0, 0, 1], 0).into())
}

pub(crate) fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

fn options() -> NodeOptions {
    NodeOptions {
        ping: PingOptions::OFF,
        join_timeout: PATIENCE,
        close_timeout: Duration::from_millis(500),
        linger: Duration::from_millis(10),
        ..NodeOptions::new(NodeId::random().unwrap())
    }
}

pub(crate) fn shared() -> Shared {
    shared_over(false, |memory| Arc::new(memory))
}

/// What the App needs; `layer` may stand in front of the memory layer.
pub(crate) fn shared_over(
    subscribes: bool,
    layer: impl FnOnce(MemoryLayer) -> Arc<dyn ChannelLayer>,
) -> Shared {
    let registry = Registry::new();
    let metrics = LayerMetrics::new(&registry).unwrap();
    let options = NodeOptions {
        subscribes,
        ..options()
    };
    let id = options.id;
    let node = Node::new(options, &registry, |sink: Arc<dyn Sink>| {
        layer(MemoryLayer::new(id, sink, metrics))
    });
    Shared {
        node: node.unwrap(),
        encoder: Arc::new(RouteEncoder(DeliverTable {
            send: [("chat.message".to_owned(), "message".to_owned())].into(),
            deliver_unknown: true,
        })),
        admitted: Arc::new(Semaphore::new(0)),
        release: Arc::new(Semaphore::new(0)),
    }
}

impl Rig {
    pub(crate) fn new() -> Self {
        Self::with(Options::default()).unwrap()
    }

    pub(crate) fn with(options: Options) -> Result<Self, BindError> {
        Self::over(shared(), options)
    }

    pub(crate) fn over(shared: Shared, options: Options) -> Result<Self, BindError> {
        let own = shared.clone();
        let cluster = Cluster::of(shared.node.clone(), &Registry::new()).unwrap();
        let bound = Server::new(cluster, move || app(own.clone()))
            .workers(options.workers)
            .handshake_timeout(options.handshake_timeout)
            .bind(options.binds)?;
        let addresses = bound.addresses().to_vec();
        let (handle, run) = bound.run();
        Ok(Self {
            shared,
            addresses,
            handle,
            run: actix_web::rt::spawn(run),
        })
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(&self.addresses[0]).await
    }

    /// A client that has sent these bytes.
    pub(crate) async fn ask(&self, request: &[u8]) -> Client {
        let mut client = self.connect().await;
        client.send(request).await;
        client
    }

    /// A client whose handshake was accepted, and its channel.
    pub(crate) async fn open(&self, path: &str) -> (Client, String) {
        let mut client = self.ask(&handshake(path)).await;
        let head = client.head().await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        let channel = super::client::header(&head, "x-fanfare-channel").unwrap();
        let channel = channel.to_owned();
        (client, channel)
    }

    pub(crate) async fn publish(&self, to: &str, text: &str) {
        let event = Event::new("chat.message").with("message", text);
        let envelope = Arc::new(Envelope::new(event));
        match self.shared.node.publish(Target::Group(group(to)), envelope) {
            Publish::Done(done) => done.unwrap(),
            other => other.confirmed().await.unwrap(),
        }
    }

    /// Waits until nobody is seated any more and in no group.
    pub(crate) async fn until_empty(&self) {
        until("the node is empty", || {
            self.shared.node.sessions() == 0 && self.shared.node.groups().is_empty()
        })
        .await;
    }
}

/// Waits for a condition.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let reached = async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    };
    let reached = tokio::time::timeout(PATIENCE, reached).await;
    assert!(reached.is_ok(), "still not: {what}");
}
