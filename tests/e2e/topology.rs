//! The deployment of `docker/` as plain processes, with its own configuration files: HAProxy in
//! front of three nodes, Redis with a password, Prometheus.

use std::collections::BTreeSet;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fanfare_rig::{
    API_KEY, Api, Node, Process, Recorder, RedisOptions, RedisServer, Socket, SocketOptions, Turn,
    eventually, project_root, server_binary,
};
use serde_json::Value;
use tempfile::TempDir;

use crate::support::SOON;

const PASSWORD: &str = "not-a-secret";
const NODES: usize = 3;
const SOCKETS: usize = 12;
/// `drain.*` of `docker/fanfare.toml` together, and some air: `stop_grace_period`.
const STOP: Duration = Duration::from_secs(15);

struct Topology {
    nodes: Vec<Node>,
    /// What the outside reaches.
    entrance: SocketAddr,
    prometheus: Api,
    _haproxy: Process,
    _prometheus: Process,
    _redis: RedisServer,
    _files: TempDir,
    _turn: Turn,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_deployment_files_make_a_cluster_behind_one_entrance() -> Result<()> {
    let mut topology = Topology::start().await?;
    let mut sockets = topology.join(SOCKETS).await?;
    let nodes: BTreeSet<&str> = sockets
        .iter()
        .filter_map(|socket| socket.channel().split('!').next())
        .collect();
    assert_eq!(nodes.len(), NODES, "HAProxy spreads the sockets: {nodes:?}");
    sockets
        .first_mut()
        .context("a socket")?
        .send_text("hello, cluster")
        .await?;
    for socket in &sockets {
        socket.reaches(1, SOON).await?;
        assert_eq!(socket.texts(), ["hello, cluster"]);
    }

    let entrance = Api::new(&format!("http://{}", topology.entrance), API_KEY)?;
    assert_eq!(entrance.status("/").await, Some(200), "the demo page");
    for path in ["/metrics", "/%6detrics"] {
        let status = entrance.status(path).await;
        assert_eq!(status, Some(404), "metrics are not for the outside: {path}");
    }
    topology.every_node_is_scraped().await?;
    topology
        .one_node_goes_and_its_sockets_find_another(sockets)
        .await
}

impl Topology {
    async fn start() -> Result<Self> {
        let turn = Turn::shared().await;
        let redis = RedisServer::with(RedisOptions {
            password: Some(PASSWORD.to_owned()),
            arguments: ["--client-output-buffer-limit", "pubsub 64mb 16mb 60"]
                .map(str::to_owned)
                .to_vec(),
            ..RedisOptions::default()
        })?;
        let mut nodes = Vec::new();
        for number in 1..=NODES {
            nodes.push(start_node(number, &redis).await?);
        }
        for node in &nodes {
            node.ready_is(200, SOON).await?;
        }
        let files = tempfile::tempdir()?;
        let entrance = own_address(8080)?;
        let haproxy = start_haproxy(entrance, &nodes)?;
        let asked = own_address(9090)?;
        let prometheus = start_prometheus(asked, &nodes, files.path())?;
        let topology = Self {
            nodes,
            entrance,
            prometheus: Api::new(&format!("http://{asked}"), "none")?,
            _haproxy: haproxy,
            _prometheus: prometheus,
            _redis: redis,
            _files: files,
            _turn: turn,
        };
        topology.is_open().await?;
        Ok(topology)
    }

    /// HAProxy answers 503 itself until its first checks have passed.
    async fn is_open(&self) -> Result<()> {
        let entrance = Api::new(&format!("http://{}", self.entrance), API_KEY)?;
        eventually(SOON, "HAProxy passing requests on", async || {
            Ok((entrance.status("/health/live").await == Some(200)).then_some(()))
        })
        .await
    }

    async fn join(&self, count: usize) -> Result<Vec<Recorder>> {
        let mut sockets = Vec::new();
        for _ in 0..count {
            let options = SocketOptions::default();
            let socket = Socket::connect(self.entrance, "/ws/chat/lobby/", &options).await?;
            sockets.push(Recorder::new(socket));
        }
        Ok(sockets)
    }

    async fn every_node_is_scraped(&self) -> Result<()> {
        let wanted: BTreeSet<String> = self
            .nodes
            .iter()
            .map(|node| node.address().to_string())
            .collect();
        eventually(Duration::from_secs(40), "every node scraped", async || {
            let answer = self
                .prometheus
                .get("/api/v1/query?query=fanfare_sessions")
                .await?;
            let answer = answer.json()?;
            let series = answer.pointer("/data/result").and_then(Value::as_array);
            let scraped: BTreeSet<String> = series
                .into_iter()
                .flatten()
                .filter_map(|series| series.pointer("/metric/instance").and_then(Value::as_str))
                .map(str::to_owned)
                .collect();
            ensure!(scraped == wanted, "{scraped:?} of {wanted:?}: {answer}");
            Ok(Some(()))
        })
        .await
    }

    async fn one_node_goes_and_its_sockets_find_another(
        &mut self,
        sockets: Vec<Recorder>,
    ) -> Result<()> {
        let leaving = self.nodes.first_mut().context("a node")?;
        leaving.terminate()?;
        let status = leaving.exit_status(STOP).await?;
        assert_eq!(status.code(), Some(0), "{status}");
        let (gone, staying): (Vec<_>, Vec<_>) = sockets
            .into_iter()
            .partition(|socket| socket.closed().is_some());
        assert_eq!(gone.len(), SOCKETS / NODES);
        assert!(
            gone.iter()
                .all(|socket| matches!(socket.closed(), Some((1001, _))))
        );
        let mut back = self.join(gone.len()).await?;
        back.first_mut()
            .context("a socket")?
            .send_text("back again")
            .await?;
        for socket in staying.iter().chain(&back) {
            socket.sees(SOON, |text| text == "back again").await?;
        }
        Ok(())
    }
}

fn docker(file: &str) -> PathBuf {
    project_root().join("docker").join(file)
}

/// An address of this test process alone, so that the ports can be those of the deployment.
fn own_address(port: u16) -> Result<SocketAddr> {
    let [_, high, middle, low] = process::id().to_be_bytes();
    Ok(SocketAddr::from((
        [127, 64 | high & 0x3f, middle, low.clamp(1, 254)],
        port,
    )))
}

async fn start_node(number: usize, redis: &RedisServer) -> Result<Node> {
    let name = format!("node{number}");
    let mut command = Command::new(server_binary()?);
    command
        .args(["serve", "--config"])
        .arg(docker("fanfare.toml"))
        .env("FANFARE__HTTP__BIND", "127.0.0.1:0")
        .env("FANFARE__NODE__NAME", &name)
        .env(
            "FANFARE__LAYER__REDIS__HOSTS",
            format!("[\"{}\"]", redis.url()),
        )
        .env("FANFARE__API__KEYS", format!("[\"{API_KEY}\"]"));
    Node::run(&name, command).await
}

fn start_haproxy(entrance: SocketAddr, nodes: &[Node]) -> Result<Process> {
    let mut command = administrators("haproxy");
    command.arg("-db").arg("-f").arg(docker("haproxy.cfg"));
    command.env("HAPROXY_BIND", entrance.to_string());
    for (number, node) in nodes.iter().enumerate() {
        command.env(
            format!("NODE{}_ADDR", number + 1),
            node.address().to_string(),
        );
    }
    Process::spawn("haproxy", command)
}

fn start_prometheus(asked: SocketAddr, nodes: &[Node], files: &Path) -> Result<Process> {
    fs::copy(docker("prometheus.yml"), files.join("prometheus.yml"))?;
    let mut targets = fs::read_to_string(docker("targets.json"))?;
    for (number, node) in nodes.iter().enumerate() {
        let name = format!("node{}:8000", number + 1);
        ensure!(targets.contains(&name), "{name} in targets.json");
        targets = targets.replace(&name, &node.address().to_string());
    }
    fs::write(files.join("targets.json"), targets)?;
    let mut command = administrators("prometheus");
    command
        .arg(format!(
            "--config.file={}",
            files.join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            files.join("data").display()
        ))
        .arg(format!("--web.listen-address={asked}"));
    Process::spawn("prometheus", command)
}

/// Debian keeps some programs where only administrators' paths lead.
fn administrators(program: &str) -> Command {
    let file = Path::new("/usr/sbin").join(program);
    Command::new(if file.is_file() { file } else { program.into() })
}
