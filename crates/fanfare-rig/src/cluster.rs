//! Several nodes of one layer.

use std::ops::Index;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::Signal;

use crate::node::{API_KEY, Node};
use crate::process::raise_descriptor_limit;
use crate::turn::Turn;

const READY: Duration = Duration::from_secs(20);

/// What a cluster is started with.
#[derive(Debug, Clone)]
pub struct ClusterOptions {
    nodes: usize,
    config: String,
    sets: Vec<String>,
    alone: bool,
    ready: bool,
}

impl Default for ClusterOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ClusterOptions {
    /// One node on the memory layer, with the shipped routes.
    pub fn new() -> Self {
        Self {
            nodes: 1,
            config: String::new(),
            sets: Vec::new(),
            alone: false,
            ready: true,
        }
    }

    /// How many nodes.
    pub fn nodes(mut self, nodes: usize) -> Self {
        self.nodes = nodes;
        self
    }

    /// On Redis at this URL.
    pub fn redis(self, url: &str) -> Self {
        self.set("layer.redis.hosts", format!("[\"{url}\"]"))
    }

    /// A configuration value, as `--set` takes it.
    pub fn set(mut self, key: &str, value: impl std::fmt::Display) -> Self {
        self.sets.push(format!("{key}={value}"));
        self
    }

    /// Text of the configuration file, such as `[[routes]]`.
    pub fn config(mut self, text: &str) -> Self {
        self.config.push_str(text);
        self
    }

    /// Alone on the machine: for tests that measure or load it.
    pub fn alone(mut self) -> Self {
        self.alone = true;
        self
    }

    /// Does not wait for readiness: for tests whose layer is not there.
    pub fn unready(mut self) -> Self {
        self.ready = false;
        self
    }

    /// Starts the nodes and waits until each is ready.
    ///
    /// # Errors
    /// When one of them is not.
    pub async fn start(self) -> Result<Cluster> {
        let turn = if self.alone {
            Turn::alone().await
        } else {
            Turn::shared().await
        };
        raise_descriptor_limit();
        // Routes whose users the clients name.
        let development = self.config.contains("\nuser = {");
        let config = format!(
            "development = {development}\nhttp.bind = \"127.0.0.1:0\"\napi.keys = [\"{API_KEY}\"]\n{}",
            self.config
        );
        let mut nodes = Vec::with_capacity(self.nodes);
        for index in 0..self.nodes {
            let name = format!("node-{index}");
            let mut sets = self.sets.clone();
            sets.push(format!("node.name={name}"));
            nodes.push(Node::start(&name, &config, &sets).await?);
        }
        if self.ready {
            for node in &nodes {
                node.ready_is(200, READY)
                    .await
                    .with_context(|| node.log())?;
            }
        }
        Ok(Cluster { nodes, _turn: turn })
    }
}

/// Running nodes; dropping it kills them.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Node>,
    /// Held until the nodes are gone: fields drop in this order.
    _turn: Turn,
}

impl Cluster {
    /// One node on the memory layer, with the shipped routes.
    ///
    /// # Errors
    /// As [`ClusterOptions::start`].
    pub async fn memory() -> Result<Self> {
        ClusterOptions::new().start().await
    }

    /// The nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// The nodes, to signal and to await.
    pub fn nodes_mut(&mut self) -> &mut [Node] {
        &mut self.nodes
    }

    /// The node of a running number, going round.
    pub fn nth(&self, number: usize) -> &Node {
        &self[number % self.nodes.len()]
    }

    /// Sends a signal to every node.
    ///
    /// # Errors
    /// When one is gone already.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.nodes
            .iter_mut()
            .try_for_each(|node| node.process().signal(signal))
    }
}

impl Index<usize> for Cluster {
    type Output = Node;

    #[expect(
        clippy::indexing_slicing,
        reason = "the bound is the caller's, as with any index"
    )]
    fn index(&self, index: usize) -> &Node {
        &self.nodes[index]
    }
}
