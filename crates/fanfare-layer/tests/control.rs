//! Commands between nodes.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use bytes::Bytes;
use fanfare_layer::redis::Format;
use fanfare_layer::{
    ControlError, ControlHandler, ControlReplies, ControlTarget, MAX_CONTROL_BYTES, State,
};
use fanfare_protocol::NodeId;
use fanfare_rig::{RedisCluster, RedisServer, eventually, within};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, pending};
use parking_lot::Mutex;

use crate::core_nodes::Mortal;
use crate::formats::in_both_formats;
use crate::outage::node_of;
use crate::support::{Cluster, Node, SOON, options};

/// Less than it takes to forget a node that is silent.
const DEADLINE: Duration = Duration::from_secs(1);

/// Answers with what it was told, and notes from whom.
#[derive(Default)]
struct Echo(Mutex<Vec<NodeId>>);

impl ControlHandler for Echo {
    fn handle(&self, from: NodeId, command: Bytes) -> BoxFuture<'static, Option<Bytes>> {
        self.0.lock().push(from);
        async move { Some(command) }.boxed()
    }
}

/// Never answers.
struct Silent;

impl ControlHandler for Silent {
    fn handle(&self, _: NodeId, _: Bytes) -> BoxFuture<'static, Option<Bytes>> {
        pending().boxed()
    }
}

fn serve(node: &Node) -> Arc<Echo> {
    let echo = Arc::new(Echo::default());
    node.layer.control().serve(echo.clone());
    echo
}

/// Waits until each of these knows all of them.
async fn acquainted(nodes: &[&Node]) -> Result<()> {
    let all: HashSet<_> = nodes.iter().map(|node| node.id).collect();
    for node in nodes {
        node.knows(&all).await?;
    }
    Ok(())
}

impl Node {
    async fn knows(&self, nodes: &HashSet<NodeId>) -> Result<()> {
        eventually(SOON, "the nodes to know each other", async || {
            let known: HashSet<_> = self.layer.control().nodes().into_iter().collect();
            Ok((known == *nodes).then_some(()))
        })
        .await
    }

    async fn ask(&self, to: ControlTarget) -> Result<ControlReplies, ControlError> {
        self.ask_with(to, DEADLINE).await
    }

    async fn ask_with(
        &self,
        to: ControlTarget,
        deadline: Duration,
    ) -> Result<ControlReplies, ControlError> {
        let command = Bytes::from_static(b"how many?");
        let asked = self.layer.control().ask(to, command, deadline);
        within(SOON, "the answers", asked).await.unwrap()
    }
}

fn who(replies: &ControlReplies) -> HashSet<NodeId> {
    let answers = replies.answers.iter();
    let named: HashSet<_> = answers.map(|(node, _)| *node).collect();
    assert_eq!(named.len(), replies.answers.len(), "one answer for each");
    named
}

async fn a_command_reaches_one_node_or_each_once(format: Format) -> Result<()> {
    let servers = [RedisServer::start()?, RedisServer::start()?];
    let node = || -> Result<_> {
        let mut options = options(servers.iter().map(RedisServer::url))?;
        options.format = format.clone();
        Node::redis(options)
    };
    let nodes = [node()?, node()?, node()?];
    let echoes: Vec<_> = nodes.iter().map(serve).collect();
    let [one, two, three] = &nodes;
    acquainted(&[one, two, three]).await?;

    let replies = one.ask(ControlTarget::Node(two.id)).await?;
    assert_eq!(
        replies.answers,
        [(two.id, Bytes::from_static(b"how many?"))]
    );
    assert_eq!(replies.missing, []);
    assert_eq!(*echoes[1].0.lock(), [one.id]);
    assert_eq!(*echoes[2].0.lock(), []);

    // Over both hosts: the id of a request says which.
    for times in 1..=20 {
        let start = Instant::now();
        let replies = three.ask_with(ControlTarget::All, SOON).await?;
        assert!(start.elapsed() < SOON / 2, "it waits for nobody else");
        assert_eq!(who(&replies), [one.id, two.id, three.id].into());
        assert_eq!(replies.missing, []);
        assert_eq!(*echoes[0].0.lock(), vec![three.id; times]);
    }
    let replies = three.ask(ControlTarget::Node(three.id)).await?;
    assert_eq!(who(&replies), [three.id].into());
    Ok(())
}

async fn nodes_that_do_not_answer_are_named(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let (asking, silent) = (
        node_of(&server, format.clone())?,
        node_of(&server, format.clone())?,
    );
    let leaving = node_of(&server, format.clone())?;
    let mut mortal = options([server.url()])?;
    mortal.format = format;
    let dying = Mortal::start(mortal).await?;
    serve(&asking);
    silent.layer.control().serve(Arc::new(Silent));
    serve(&leaving);
    serve(&dying.node);
    acquainted(&[&asking, &silent, &leaving, &dying.node]).await?;

    within(SOON, "the close", leaving.layer.close()).await?;
    let dead = dying.die();
    asking
        .knows(&[asking.id, silent.id, dead.id].into())
        .await?;
    let start = Instant::now();
    let replies = asking.ask(ControlTarget::All).await?;
    assert!(start.elapsed() >= DEADLINE);
    assert!(start.elapsed() < DEADLINE * 2, "{:?}", start.elapsed());
    assert_eq!(who(&replies), [asking.id].into());
    let missing: HashSet<_> = replies.missing.iter().copied().collect();
    assert_eq!(missing, [silent.id, dead.id].into());

    let replies = asking.ask(ControlTarget::Node(silent.id)).await?;
    assert_eq!(
        replies,
        ControlReplies {
            answers: vec![],
            missing: vec![silent.id]
        }
    );
    Ok(())
}

async fn a_node_that_leaves_is_waited_for_no_longer(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let (asking, leaving) = (node_of(&server, format.clone())?, node_of(&server, format)?);
    leaving.layer.control().serve(Arc::new(Silent));
    asking.knows(&[leaving.id].into()).await?;
    let command = Bytes::from_static(b"x");
    let asked = asking
        .layer
        .control()
        .ask(ControlTarget::All, command, Duration::from_secs(3600));
    let asked = tokio::spawn(asked);
    within(SOON, "the close", leaving.layer.close()).await?;
    let replies = within(SOON, "the end of the request", asked).await???;
    assert_eq!(replies, ControlReplies::default());
    Ok(())
}

async fn a_lost_redis_fails_commands_at_once_and_they_work_when_it_is_back(
    format: Format,
) -> Result<()> {
    let mut server = RedisServer::start()?;
    let (one, two) = (node_of(&server, format.clone())?, node_of(&server, format)?);
    serve(&one);
    two.layer.control().serve(Arc::new(Silent));
    acquainted(&[&one, &two]).await?;

    let command = Bytes::from_static(b"x");
    let forever = Duration::from_secs(3600);
    let asked = one
        .layer
        .control()
        .ask(ControlTarget::All, command, forever);
    let asked = tokio::spawn(asked);
    server.kill();
    let failed = within(SOON, "the failure", asked).await??;
    assert!(matches!(failed, Err(ControlError::Down(_))), "{failed:?}");
    one.reaches(State::Down).await?;
    let failed = one.ask_with(ControlTarget::All, forever).await;
    assert!(matches!(failed, Err(ControlError::Down(_))), "{failed:?}");

    server.restart()?;
    one.reaches(State::Up).await?;
    two.reaches(State::Up).await?;
    serve(&two);
    let replies = one.ask(ControlTarget::Node(two.id)).await?;
    assert_eq!(who(&replies), [two.id].into());
    within(SOON, "the close", one.layer.close()).await?;
    let failed = one.ask(ControlTarget::All).await;
    assert!(matches!(failed, Err(ControlError::Down(_))), "{failed:?}");
    Ok(())
}

async fn malformed_messages_are_dropped_and_counted(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let node = node_of(&server, format)?;
    serve(&node);
    node.reaches(State::Up).await?;
    let own = format!("fanfare:asgi:node:{}", node.id);
    for (channel, message) in [
        ("fanfare:asgi:control", "nonsense"),
        (&own, "{}"),
        (&own, &"x".repeat(MAX_CONTROL_BYTES * 2)),
    ] {
        server.cli(&["PUBLISH", channel, message])?;
    }
    node.metric_becomes("fanfare_layer_control_dropped_total", "malformed", 3.0)
        .await?;
    let too_long = Bytes::from(vec![0; MAX_CONTROL_BYTES + 1]);
    let asked = node
        .layer
        .control()
        .ask(ControlTarget::All, too_long, DEADLINE);
    let bytes = MAX_CONTROL_BYTES + 1;
    assert_eq!(asked.await, Err(ControlError::TooLong { bytes }));
    Ok(())
}

async fn a_node_answers_not_more_commands_at_once_than_it_may(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let (asking, busy) = (node_of(&server, format.clone())?, node_of(&server, format)?);
    busy.layer.control().serve(Arc::new(Silent));
    asking.knows(&[busy.id].into()).await?;
    let ask = |_| asking.ask(ControlTarget::Node(busy.id));
    let replies = futures_util::future::join_all((0..70).map(ask)).await;
    for reply in replies {
        assert_eq!(reply?.missing, [busy.id]);
    }
    busy.metric_becomes("fanfare_layer_control_dropped_total", "busy", 6.0)
        .await
}

async fn a_layer_that_serves_nothing_is_no_node_and_stays_connected(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let (node, visitor) = (node_of(&server, format.clone())?, node_of(&server, format)?);
    serve(&node);
    visitor.knows(&[node.id].into()).await?;
    let replies = visitor.ask(ControlTarget::All).await?;
    assert_eq!(who(&replies), [node.id].into());
    assert_eq!(node.layer.control().nodes(), [node.id]);
    // Longer than a connection may bring nothing.
    let mut status = visitor.layer.status();
    let lost = status.wait_for(|status| status.state != State::Up);
    let lost = tokio::time::timeout(Duration::from_secs(5), lost).await;
    assert!(lost.is_err(), "the connection was given up");
    Ok(())
}

#[tokio::test]
async fn commands_work_over_different_servers_of_a_redis_cluster() -> Result<()> {
    let cluster = RedisCluster::start().await?;
    let node = |index| -> Result<_> { Node::redis(options([cluster.url(index)?])?) };
    let nodes = [node(0)?, node(1)?, node(2)?];
    nodes.iter().for_each(|node| drop(serve(node)));
    let [one, two, three] = &nodes;
    acquainted(&[one, two, three]).await?;
    let replies = one.ask(ControlTarget::All).await?;
    assert_eq!(who(&replies), [one.id, two.id, three.id].into());
    assert_eq!(replies.missing, []);
    Ok(())
}

#[tokio::test]
async fn in_one_process_a_node_asks_itself() -> Result<()> {
    let node = Cluster::memory().node().await?;
    assert_eq!(
        node.ask(ControlTarget::All).await?,
        ControlReplies::default()
    );
    let echo = serve(&node);
    assert_eq!(node.layer.control().nodes(), [node.id]);
    for to in [ControlTarget::All, ControlTarget::Node(node.id)] {
        assert_eq!(who(&node.ask(to).await?), [node.id].into());
    }
    assert_eq!(*echo.0.lock(), [node.id; 2]);
    let other = NodeId::random()?;
    let replies = node.ask(ControlTarget::Node(other)).await?;
    assert_eq!(replies.missing, [other]);
    node.layer.control().serve(Arc::new(Silent));
    let replies = node.ask(ControlTarget::All).await?;
    assert_eq!(replies.missing, [node.id]);
    Ok(())
}

in_both_formats! {
    a_command_reaches_one_node_or_each_once,
    nodes_that_do_not_answer_are_named,
    a_node_that_leaves_is_waited_for_no_longer,
    a_lost_redis_fails_commands_at_once_and_they_work_when_it_is_back,
    malformed_messages_are_dropped_and_counted,
    a_node_answers_not_more_commands_at_once_than_it_may,
    a_layer_that_serves_nothing_is_no_node_and_stays_connected,
}
