//! Layers to test, and what arrived from them.

mod arrivals;
mod cluster;
pub(crate) mod zsets;

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use fanfare_layer::redis::{RedisOptions, connect};
use fanfare_layer::{ChannelLayer, Delivery, LayerMetrics, Receiver, State, Subscription};
use fanfare_protocol::{Envelope, Event, GroupName, Naming, NodeId, Target};
use fanfare_rig::{eventually, within};
use futures_util::StreamExt as _;
use prometheus::Registry;

pub(crate) use arrivals::{Arrivals, CAPACITY, EXPIRY};
pub(crate) use cluster::{Cluster, core_options, options};

pub(crate) const SOON: Duration = Duration::from_secs(10);

/// A node's end of a layer.
pub(crate) struct Node {
    pub(crate) layer: Arc<dyn ChannelLayer>,
    pub(crate) naming: Naming,
    pub(crate) id: NodeId,
    pub(crate) registry: Registry,
    pub(crate) arrivals: Arc<Arrivals>,
}

impl Node {
    /// Starts a Redis layer that nobody reads from yet.
    pub(crate) fn redis(options: RedisOptions) -> Result<Self> {
        let registry = Registry::new();
        let (naming, id) = (options.format.naming(&options.prefix), options.node);
        let arrivals = Arc::new(Arrivals::new(0)?);
        let layer = connect(options, LayerMetrics::new(&registry)?);
        Ok(Self {
            layer,
            naming,
            id,
            registry,
            arrivals,
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
            .map(|name| GroupName::parse(name).map(Subscription::Group))
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

    /// Takes a group back.
    pub(crate) async fn leave(&self, group: &str) -> Result<()> {
        let left = self.layer.unsubscribe(vec![subscription(group)]);
        within(SOON, "the unsubscription", left).await??;
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

pub(crate) fn subscription(name: &str) -> Subscription {
    Subscription::Group(GroupName::parse(name).unwrap())
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
