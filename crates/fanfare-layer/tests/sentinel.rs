//! A master that Sentinel knows by name.

use std::collections::HashSet;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Result;
use fanfare_layer::redis::{Format, Host, RedisOptions, RedisPace};
use fanfare_layer::{PublishError, State};
use fanfare_rig::{RedisServer, Sentinels, SentinelsOptions, eventually, within};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::formats::{core, in_both_formats, is_core};
use crate::outage::PROBE;
use crate::servers::{add_user, rules};
use crate::support::{Node, SOON, group, next, numbered, numbers, options};
use crate::transport::{options_of, refusal_of, round_trip_of};

in_both_formats! {
    a_failover_under_traffic_loses_what_the_format_may_lose,
    a_dead_a_silent_and_a_lying_sentinel_are_passed_over,
    a_server_that_is_no_master_is_not_used,
    a_silent_sentinel_ends_with_its_share_of_the_time,
    a_name_that_no_sentinel_knows_is_said,
    sentinels_and_master_have_passwords_of_their_own,
    a_user_who_may_not_ask_for_the_role_is_refused_by_reason,
    tls_user_and_database_of_the_master_do_not_go_to_the_sentinels,
}

/// A node that found nothing for a while looks again after 5 s only.
const FAILOVER: Duration = Duration::from_secs(20);

type Pairs<'a> = &'a [(&'a str, &'a str)];

fn host(ports: &[u16], master: Pairs<'_>, kwargs: Pairs<'_>) -> Result<Host> {
    let owned = |(name, value): &(&str, &str)| (name.to_string(), Value::from(*value));
    let sentinels = ports.iter().map(|port| json!(["127.0.0.1", port]));
    let mut table: Map<_, _> = master.iter().map(owned).collect();
    table.insert("master_name".into(), Sentinels::MASTER.into());
    table.insert("sentinels".into(), sentinels.collect());
    table.insert(
        "sentinel_kwargs".into(),
        kwargs.iter().map(owned).collect::<Map<_, _>>().into(),
    );
    Ok(Host::from_json(&table.into())?)
}

fn through(host: Host, format: &Format) -> Result<RedisOptions> {
    let mut options = options([])?;
    options.hosts = vec![host];
    options.format = format.clone();
    options.pace = RedisPace::every(PROBE);
    Ok(options)
}

/// A sentinel that names whatever port it is told, or nothing at all.
async fn liar(named: Option<u16>) -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let port = listener.local_addr()?.port();
    tokio::spawn(async move {
        loop {
            let (mut asker, _) = listener.accept().await?;
            tokio::spawn(async move {
                let mut question = [0; 1024];
                while asker.read(&mut question).await? > 0 {
                    if let Some(named) = named {
                        let named = named.to_string();
                        let answer =
                            format!("*2\r\n$9\r\n127.0.0.1\r\n${}\r\n{named}\r\n", named.len());
                        asker.write_all(answer.as_bytes()).await?;
                    }
                }
                std::io::Result::Ok(())
            });
        }
        #[expect(unreachable_code, reason = "it gives the block its type")]
        std::io::Result::Ok(())
    });
    Ok(port)
}

/// Publishes numbers to a group without end, one every few milliseconds; those of the outage fail.
struct Traffic {
    node: Arc<Node>,
    last: Arc<AtomicI64>,
    /// Those that the layer has taken.
    taken: Arc<Mutex<Vec<i64>>>,
    task: JoinHandle<()>,
}

impl Traffic {
    fn start(node: Node) -> Self {
        let (node, last) = (Arc::new(node), Arc::new(AtomicI64::new(0)));
        let taken = Arc::new(Mutex::new(Vec::new()));
        let (to, number, sure) = (node.clone(), last.clone(), taken.clone());
        let task = tokio::spawn(async move {
            let mut pace = tokio::time::interval(Duration::from_millis(2));
            loop {
                pace.tick().await;
                let next = number.fetch_add(1, Ordering::Relaxed) + 1;
                if to.publish(&group("room"), numbered(next)).await.is_ok() {
                    sure.lock().unwrap().push(next);
                }
            }
        });
        Self {
            node,
            last,
            taken,
            task,
        }
    }

    /// Waits until a number has arrived that is not published yet.
    async fn reaches(&self, node: &Node) -> Result<()> {
        let next = self.last.load(Ordering::Relaxed) + 1;
        eventually(SOON, "a new number", async || {
            let all = node.arrivals.first(node.arrivals.len()).await?;
            Ok(numbers(&all)
                .last()
                .filter(|last| **last > next)
                .map(|_| ()))
        })
        .await
    }

    /// Waits until all that was taken so far has arrived, but for what found the reader's lane
    /// full while the reader was away: that is counted.
    async fn nothing_else_is_missing(&self, node: &Node) -> Result<()> {
        let taken = self.taken.lock().unwrap().clone();
        let full = self.node.metric("fanfare_layer_over_capacity_total", "");
        eventually(SOON, "all that was taken", async || {
            let all = node.arrivals.first(node.arrivals.len()).await?;
            let all: HashSet<_> = numbers(&all).into_iter().collect();
            let missing = taken.iter().filter(|it| !all.contains(it)).count();
            anyhow::ensure!(
                missing as f64 == full,
                "{missing} are missing, {full} counted"
            );
            Ok(Some(()))
        })
        .await
    }
}

impl Drop for Traffic {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Waits until one more outage is over than there were.
async fn is_over(node: &Node, before: f64) -> Result<()> {
    eventually(FAILOVER, "another connection", async || {
        let up = node.layer.status().borrow().state == State::Up;
        Ok((up && attempts(node) > before).then_some(()))
    })
    .await
}

fn attempts(node: &Node) -> f64 {
    node.metric("fanfare_layer_reconnects_total", "")
}

fn gaps(node: &Node) -> f64 {
    node.metric("fanfare_layer_gaps_total", "")
}

/// With pub/sub what is published during the outage is missing, which is a gap. With core the
/// replica has the memberships and what was waiting: nothing that was taken is missing, and there is
/// no gap to count.
async fn a_failover_under_traffic_loses_what_the_format_may_lose(format: Format) -> Result<()> {
    let core = is_core(&format);
    let mut sentinels = Sentinels::start().await?;
    let through = || through(host(&sentinels.ports(), &[], &[])?, &format);
    let reader = Node::redis(through()?)?.reading();
    reader.subscribe(&["room"]).await?;
    let writer = Node::redis(through()?)?;
    writer.reaches(State::Up).await?;
    let traffic = Traffic::start(writer);
    traffic.reaches(&reader).await?;

    let tried = (attempts(&reader), attempts(&traffic.node));
    let old = sentinels.kill_master()?;
    reader.reaches(State::Down).await?;
    sentinels.moved_from(old).await?;
    is_over(&reader, tried.0).await?;
    is_over(&traffic.node, tried.1).await?;
    traffic.reaches(&reader).await?;
    let failed = traffic
        .node
        .metric("fanfare_layer_publish_failures_total", "");
    assert!(failed > 0.0, "the publisher was told");
    let before = gaps(&reader);
    assert_eq!((before == 0.0, gaps(&traffic.node) == 0.0), (core, core));
    if core {
        traffic.nothing_else_is_missing(&reader).await?;
    }

    sentinels.revive().await?;
    // The old master lives on as a replica, and takes publishes that nobody hears.
    let tried = (attempts(&reader), attempts(&traffic.node));
    sentinels.failover().await?;
    is_over(&reader, tried.0).await?;
    is_over(&traffic.node, tried.1).await?;
    traffic.reaches(&reader).await?;
    assert!(core || gaps(&reader) > before);

    let all = numbers(&reader.arrivals.first(reader.arrivals.len()).await?);
    assert!(all.is_sorted_by(|one, next| one < next), "doubled: {all:?}");
    Ok(())
}

async fn a_dead_a_silent_and_a_lying_sentinel_are_passed_over(format: Format) -> Result<()> {
    let mut sentinels = Sentinels::start().await?;
    sentinels.kill_sentinel(0);
    let replica = sentinels.replica()?.port();
    let others = [liar(None).await?, liar(Some(replica)).await?];
    let ports = [&others[..], &sentinels.ports()].concat();
    let limit = [("socket_connect_timeout", "2")];
    let node = Node::redis(through(host(&ports, &limit, &[])?, &format)?)?.reading();
    node.reaches(State::Up).await?;
    node.subscribe(&["room"]).await?;
    let (question, answer) = if is_core(&format) {
        (["ZRANGE", "asgi:group:room", "0", "-1"].to_vec(), "!room")
    } else {
        (
            vec!["PUBSUB", "CHANNELS", "asgi__group__*"],
            "asgi__group__room",
        )
    };
    let heard = format!("{:?}", sentinels.master()?.cli(&question)?);
    assert!(heard.contains(answer), "{heard}");
    Ok(())
}

async fn a_server_that_is_no_master_is_not_used(format: Format) -> Result<()> {
    let sentinels = Sentinels::with(SentinelsOptions {
        sentinels: 1,
        ..SentinelsOptions::default()
    })
    .await?;
    let replica = sentinels.replica()?.port();
    let host = host(&[liar(Some(replica)).await?], &[], &[])?;
    let reason = format!("it names 127.0.0.1:{replica}, a slave");
    refusal_of(through(host, &format)?, &reason).await
}

async fn a_silent_sentinel_ends_with_its_share_of_the_time(format: Format) -> Result<()> {
    let ports = [liar(None).await?, liar(None).await?];
    let host = host(&ports, &[("socket_connect_timeout", "0.5")], &[])?;
    refusal_of(through(host, &format)?, "no answer within 250ms").await
}

async fn a_name_that_no_sentinel_knows_is_said(format: Format) -> Result<()> {
    let server = Sentinels::with(SentinelsOptions {
        sentinels: 1,
        ..SentinelsOptions::default()
    })
    .await?;
    let host = Host::from_json(&json!({
        "master_name": "other",
        "sentinels": [["localhost", server.ports()[0]]],
    }))?;
    refusal_of(through(host, &format)?, "it does not know that name").await
}

async fn sentinels_and_master_have_passwords_of_their_own(format: Format) -> Result<()> {
    let sentinels = Sentinels::with(SentinelsOptions {
        sentinels: 1,
        password: Some("m".into()),
        sentinel_password: Some("s".into()),
    })
    .await?;
    let (ports, master) = (sentinels.ports(), &[("password", "m")][..]);
    round_trip_of(through(
        host(&ports, master, &[("password", "s")])?,
        &format,
    )?)
    .await?;
    let crossed = host(&ports, master, &[("password", "m")])?;
    refusal_of(through(crossed, &format)?, "authentication failed").await?;
    let none = host(&ports, &[], &[("password", "s")])?;
    refusal_of(through(none, &format)?, "NOAUTH").await
}

async fn a_user_who_may_not_ask_for_the_role_is_refused_by_reason(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let rules = rules(&format)?.into_iter().filter(|rule| rule != "+role");
    add_user(&server, "node", &rules.collect::<Vec<_>>())?;
    let master = [("username", "node"), ("password", "pw")];
    let host = host(&[liar(Some(server.port())).await?], &master, &[])?;
    refusal_of(through(host, &format)?, "'role'").await
}

async fn tls_user_and_database_of_the_master_do_not_go_to_the_sentinels(
    format: Format,
) -> Result<()> {
    let server = RedisServer::with(fanfare_rig::RedisOptions {
        tls: true,
        ..Default::default()
    })?;
    let mut rules = rules(&format)?;
    rules.push("+select".into());
    add_user(&server, "node", &rules)?;
    let authority = server.certificate().display().to_string();
    let master = [
        ("ssl", "true"),
        ("ssl_ca_certs", authority.as_str()),
        ("username", "node"),
        ("password", "pw"),
        ("db", "3"),
    ];
    // It answers plain text, and anything but the question is answered with nonsense.
    let sentinel = liar(Some(server.port())).await?;
    let host = host(&[sentinel], &master, &[])?;
    let node = Node::redis(through(host, &format)?)?.reading();
    within(SOON, "the master", node.reaches(State::Up)).await??;
    assert_eq!(server.denials()?, [""; 0]);
    node.subscribe(&["room"]).await?;
    let clients = format!("{:?}", server.cli(&["CLIENT", "LIST"])?);
    assert!(
        clients.contains("user=node") && clients.contains("db=3"),
        "{clients}"
    );
    Ok(())
}

/// Where nobody ends the connections, the server's refusals say that it is no master. It is not in
/// reach of its own, and either answers with old data or with none.
#[tokio::test]
async fn a_master_that_becomes_a_replica_is_lost_and_looked_for_with_core() -> Result<()> {
    for stale in ["yes", "no"] {
        let server = RedisServer::start()?;
        server.cli(&["CONFIG", "SET", "replica-serve-stale-data", stale])?;
        let mut options = options_of(server.url(), &core()?)?;
        options.pace = RedisPace::every(PROBE);
        let node = Node::redis(options)?.reading();
        node.subscribe(&["room"]).await?;
        let mut receiver = node.receive("jobs").await?;
        server.cli(&["REPLICAOF", "127.0.0.1", "1"])?;
        node.reaches(State::Down).await?;
        let before = attempts(&node);
        eventually(SOON, "attempts in vain", async || {
            Ok((attempts(&node) > before + 1.0).then_some(()))
        })
        .await?;
        let refused = node.publish(&group("room"), numbered(1)).await;
        let refused = refused.unwrap_err().downcast()?;
        assert!(matches!(refused, PublishError::Down(_)), "{refused}");
        assert_eq!(node.layer.status().borrow().state, State::Down);

        server.cli(&["REPLICAOF", "NO", "ONE"])?;
        node.reaches(State::Up).await?;
        assert_eq!(gaps(&node), 0.0, "it has kept its data");
        node.publish(&group("room"), numbered(2)).await?;
        assert_eq!(numbers(&node.arrivals.first(1).await?), [2]);
        node.send("jobs", 3).await?;
        assert_eq!(next(&mut receiver).await?, 3);
    }
    Ok(())
}
