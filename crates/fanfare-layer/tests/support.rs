//! Layers to test, and what arrived from them.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use fanfare_layer::redis::{Host, PubSubOptions, pubsub};
use fanfare_layer::{
    ChannelFull, ChannelLayer, ChannelQueue, Delivery, Full, LayerMetrics, MemoryLayer,
    QueueOptions, Receiver, Sink, State, Undelivered,
};
use fanfare_protocol::{ChannelName, Envelope, Event, GroupName, Naming, NodeId, Target};
use fanfare_rig::{RedisServer, eventually, within};
use futures_util::StreamExt as _;
use prometheus::{IntCounter, Registry};
use tokio::sync::Notify;

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A node's end of a layer.
pub(crate) struct Node {
    pub(crate) layer: Arc<dyn ChannelLayer>,
    pub(crate) naming: Naming,
    pub(crate) id: NodeId,
    pub(crate) registry: Registry,
    pub(crate) arrivals: Arc<Arrivals>,
}

/// The bounds of channels_redis' own tests.
pub(crate) const CAPACITY: usize = 3;
pub(crate) const EXPIRY: Duration = Duration::from_secs(3);

/// Everything that has arrived, in order; what is for normal channels is in their queues. As a sink
/// it misbehaves: now and then it is full.
pub(crate) struct Arrivals {
    pub(crate) queue: ChannelQueue,
    /// Messages that nobody received in time.
    pub(crate) expired: IntCounter,
    /// Messages from elsewhere that found a queue full.
    overflow: AtomicUsize,
    /// How long ago what arrives is said to have arrived.
    pub(crate) age: Mutex<Duration>,
    all: Mutex<Vec<Delivery>>,
    grown: Notify,
    /// Every how many deliveries the sink is full once; 0 is never.
    full_every: usize,
    offered: AtomicUsize,
}

/// Where layers of one cluster come from.
pub(crate) enum Cluster {
    Memory {
        full_every: usize,
    },
    Redis {
        servers: Vec<RedisServer>,
        publish_in_flight: usize,
    },
}

impl Arrivals {
    fn new(full_every: usize) -> Result<Self> {
        let expired = IntCounter::new("expired", "not received in time")?;
        let options = QueueOptions {
            capacity: CAPACITY,
            expiry: EXPIRY,
            unread: 10,
        };
        Ok(Self {
            queue: ChannelQueue::new(options, expired.clone()),
            expired,
            overflow: AtomicUsize::new(0),
            age: Mutex::default(),
            all: Mutex::default(),
            grown: Notify::new(),
            full_every,
            offered: AtomicUsize::new(0),
        })
    }

    /// Takes what came from elsewhere.
    fn take(&self, delivery: Delivery) {
        if self.put(delivery).is_err() {
            self.overflow.fetch_add(1, Ordering::Relaxed);
            self.grown.notify_waiters();
        }
    }

    fn put(&self, delivery: Delivery) -> Result<(), ChannelFull> {
        match &delivery.target {
            Target::Channel(channel) if is_queued(channel) => {
                let age = *self.age.lock().unwrap();
                let arrived = Instant::now().checked_sub(age).unwrap();
                self.queue.put(channel, delivery.envelope, arrived)
            }
            _ => {
                self.push(delivery);
                Ok(())
            }
        }
    }

    /// Waits until that many messages from elsewhere found a queue full.
    pub(crate) async fn overflows(&self, count: usize) -> Result<()> {
        eventually(SOON, "full queues", async || {
            Ok((self.overflow.load(Ordering::Relaxed) == count).then_some(()))
        })
        .await
    }

    fn push(&self, delivery: Delivery) {
        self.all.lock().unwrap().push(delivery);
        self.grown.notify_waiters();
    }

    /// The first `count` deliveries, once they are there.
    pub(crate) async fn first(&self, count: usize) -> Result<Vec<Delivery>> {
        let wait = async {
            loop {
                let grown = self.grown.notified();
                {
                    let all = self.all.lock().unwrap();
                    if all.len() >= count {
                        return all[..count].to_vec();
                    }
                }
                grown.await;
            }
        };
        within(SOON, "deliveries", wait)
            .await
            .with_context(|| format!("{} came", self.len()))
    }

    pub(crate) fn len(&self) -> usize {
        self.all.lock().unwrap().len()
    }
}

impl Sink for Arrivals {
    fn deliver(&self, delivery: Delivery) -> Result<(), Undelivered> {
        let turn = self.offered.fetch_add(1, Ordering::Relaxed) + 1;
        if self.full_every > 0 && turn.is_multiple_of(self.full_every) {
            return Err(Undelivered::Full(Full {
                delivery,
                room: Box::pin(tokio::task::yield_now()),
            }));
        }
        self.put(delivery).map_err(Undelivered::ChannelFull)
    }
}

impl Cluster {
    pub(crate) fn memory() -> Self {
        Self::Memory { full_every: 0 }
    }

    pub(crate) fn redis(hosts: usize) -> Result<Self> {
        let servers = (0..hosts)
            .map(|_| RedisServer::start())
            .collect::<Result<_>>()?;
        Ok(Self::Redis {
            servers,
            publish_in_flight: 4096,
        })
    }

    /// The same with little room between publish and delivery.
    pub(crate) fn narrow(self) -> Self {
        match self {
            Self::Memory { .. } => Self::Memory { full_every: 3 },
            Self::Redis { servers, .. } => {
                let publish_in_flight = servers.len() * 2;
                Self::Redis {
                    servers,
                    publish_in_flight,
                }
            }
        }
    }

    /// A node that is connected.
    pub(crate) async fn node(&self) -> Result<Node> {
        let node = match self {
            Self::Memory { full_every } => memory(*full_every)?,
            Self::Redis {
                servers,
                publish_in_flight,
            } => {
                let mut options = options(servers.iter().map(RedisServer::url))?;
                options.publish_in_flight = *publish_in_flight;
                Node::redis(options)?.reading()
            }
        };
        node.reaches(State::Up).await?;
        Ok(node)
    }
}

fn memory(full_every: usize) -> Result<Node> {
    let registry = Registry::new();
    let arrivals = Arc::new(Arrivals::new(full_every)?);
    let layer = MemoryLayer::new(arrivals.clone(), LayerMetrics::new(&registry)?);
    Ok(Node {
        layer: Arc::new(layer),
        naming: Naming::plain("asgi"),
        id: NodeId::random()?,
        registry,
        arrivals,
    })
}

/// Generous options with a fresh node.
pub(crate) fn options(urls: impl IntoIterator<Item = String>) -> Result<PubSubOptions> {
    let hosts: Result<Vec<_>, _> = urls.into_iter().map(|url| Host::parse(&url)).collect();
    Ok(PubSubOptions {
        hosts: hosts?,
        prefix: "asgi".into(),
        node: NodeId::random()?,
        publish_in_flight: 1024,
        inbox: 10_000,
        probe: Duration::from_secs(5),
    })
}

impl Node {
    /// Starts a Redis layer that nobody reads from yet.
    pub(crate) fn redis(options: PubSubOptions) -> Result<Self> {
        let registry = Registry::new();
        let (naming, id) = (Naming::pubsub(&options.prefix), options.node);
        let layer = pubsub(options, LayerMetrics::new(&registry)?);
        Ok(Self {
            layer,
            naming,
            id,
            registry,
            arrivals: Arc::new(Arrivals::new(0)?),
        })
    }

    /// Reads all that arrives.
    pub(crate) fn reading(self) -> Self {
        let (mut stream, arrivals) = (self.layer.stream(), self.arrivals.clone());
        tokio::spawn(async move {
            while let Some(batch) = stream.next().await {
                batch
                    .into_iter()
                    .for_each(|delivery| arrivals.take(delivery));
            }
        });
        self
    }

    pub(crate) async fn reaches(&self, state: State) -> Result<()> {
        let mut status = self.layer.status();
        let what = format!("the layer is {state:?}");
        within(SOON, &what, status.wait_for(|status| status.state == state)).await??;
        Ok(())
    }

    pub(crate) async fn subscribe(&self, names: &[&str]) -> Result<()> {
        let groups = names
            .iter()
            .map(|name| GroupName::parse(name).map(Target::Group))
            .collect::<Result<_, _>>()?;
        within(SOON, "the subscription", self.layer.subscribe(groups)).await??;
        Ok(())
    }

    pub(crate) async fn publish(&self, target: &Target, event: Event) -> Result<()> {
        let envelope = Arc::new(Envelope::new(event));
        let published = self.layer.publish(target.clone(), envelope).confirmed();
        within(SOON, "the publish", published).await??;
        Ok(())
    }

    /// Receives from a channel.
    pub(crate) async fn receive(&self, name: &str) -> Result<Receiver> {
        let channel = self.naming.channel(name)?;
        let received = self.arrivals.queue.receive(channel, self.layer.clone());
        Ok(within(SOON, "the subscription", received).await??)
    }

    /// Publishes to a channel.
    pub(crate) async fn send(&self, name: &str, number: i64) -> Result<()> {
        let target = Target::Channel(self.naming.channel(name)?);
        self.publish(&target, numbered(number)).await
    }

    /// The channel of a session of this node.
    pub(crate) fn channel(&self, session: &str) -> Result<Target> {
        let name = format!("{}{session}", self.naming.node_prefix(self.id));
        Ok(Target::Channel(self.naming.channel(&name)?))
    }

    /// The sum of a metric, over the labels that its line must contain.
    pub(crate) fn metric(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families
            .iter()
            .find(|family| family.name() == name)
            .expect("a metric");
        let labelled = |metric: &&prometheus::proto::Metric| {
            label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
        };
        let values = family.get_metric().iter().filter(labelled);
        values
            .map(|it| it.get_counter().get_value() + it.get_gauge().get_value())
            .sum()
    }

    /// Waits until that many probes have come back.
    pub(crate) async fn probes_return(&self, count: u64) -> Result<()> {
        eventually(SOON, "round trips", async || {
            let families = self.registry.gather();
            let family = families
                .iter()
                .find(|family| family.name() == "fanfare_layer_round_trip_seconds");
            let seen =
                family.map(|family| family.get_metric()[0].get_histogram().get_sample_count());
            Ok((seen >= Some(count)).then_some(()))
        })
        .await
    }

    pub(crate) async fn metric_becomes(&self, name: &str, label: &str, value: f64) -> Result<()> {
        eventually(SOON, name, async || {
            Ok((self.metric(name, label) == value).then_some(()))
        })
        .await
    }
}

pub(crate) fn group(name: &str) -> Target {
    Target::Group(GroupName::parse(name).unwrap())
}

/// An event that carries a number.
pub(crate) fn numbered(number: i64) -> Event {
    Event::new("test.number").with("number", number)
}

/// The numbers of deliveries, in order.
pub(crate) fn numbers(deliveries: &[Delivery]) -> Vec<i64> {
    let number = |delivery: &Delivery| number(&delivery.envelope);
    deliveries.iter().map(number).collect()
}

fn number(envelope: &Envelope) -> i64 {
    match envelope.event.get("number") {
        Some(fanfare_protocol::Value::Int(number)) => *number,
        other => panic!("no number but {other:?}"),
    }
}

/// The number of a receiver's next message.
pub(crate) async fn next(receiver: &mut Receiver) -> Result<i64> {
    let next = within(SOON, "a message", receiver.next()).await?;
    let envelope = next.context("the queues are closed")?;
    Ok(number(&envelope))
}

/// The names of `ChannelQueue`'s tests: normal ones, and one for channels of this node alone.
fn is_queued(channel: &ChannelName) -> bool {
    !channel.as_str().contains('!') || channel.as_str().ends_with("!queued")
}
