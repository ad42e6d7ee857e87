//! Leases: a claim that one node at a time holds.

use std::time::Duration;

use anyhow::{Context as _, Result};
use fanfare_layer::redis::Format;
use fanfare_layer::{Claimed, LeaseToken, State};
use fanfare_rig::{RedisCluster, RedisServer, eventually, project_root};

use crate::formats::{core, is_core, pubsub};
use crate::servers::{add_user, rules};
use crate::support::{Cluster, Node, SOON, options};

const LONG: Duration = Duration::from_secs(60);

impl Node {
    async fn claims(&self, name: &str, token: LeaseToken, ttl: Duration) -> Result<Claimed> {
        Ok(self.layer.leases().claim(name, token, ttl).await?)
    }

    async fn releases(&self, name: &str, token: LeaseToken) -> Result<()> {
        Ok(self.layer.leases().release(name, token).await?)
    }
}

fn is_taken(claimed: Claimed) -> bool {
    matches!(claimed, Claimed::Taken(left) if !left.is_zero() && left <= LONG)
}

/// One token holds a lease, renews it, and alone can give it back.
async fn one_holds_it(one: &Node, two: &Node, name: &str) -> Result<()> {
    let [own, other] = [LeaseToken::random()?, LeaseToken::random()?];
    for _ in 0..2 {
        assert_eq!(one.claims(name, own, LONG).await?, Claimed::Held, "{name}");
        assert!(is_taken(two.claims(name, other, LONG).await?), "{name}");
        two.releases(name, other).await?;
    }
    one.releases(name, own).await?;
    assert_eq!(two.claims(name, other, LONG).await?, Claimed::Held);
    assert!(is_taken(one.claims(name, own, LONG).await?), "{name}");
    Ok(())
}

async fn it_ends_by_itself(one: &Node, two: &Node) -> Result<()> {
    let [own, other] = [LeaseToken::random()?, LeaseToken::random()?];
    let short = Duration::from_millis(200);
    assert_eq!(one.claims("short", own, short).await?, Claimed::Held);
    eventually(SOON, "the end of the lease", async || {
        let claimed = two.claims("short", other, LONG).await?;
        Ok((claimed == Claimed::Held).then_some(()))
    })
    .await
}

async fn leases_of(cluster: Cluster) -> Result<()> {
    let (one, two) = (cluster.node().await?, cluster.node().await?);
    // Over all hosts.
    for number in 0..8 {
        one_holds_it(&one, &two, &format!("job-{number}")).await?;
    }
    it_ends_by_itself(&one, &two).await
}

#[tokio::test]
async fn one_node_holds_a_lease_with_pubsub() -> Result<()> {
    leases_of(Cluster::pubsub(2)?).await
}

#[tokio::test]
async fn one_node_holds_a_lease_with_core() -> Result<()> {
    leases_of(Cluster::core(2)?).await
}

#[tokio::test]
async fn one_claim_holds_a_lease_in_one_process() -> Result<()> {
    let node = Cluster::memory().node().await?;
    one_holds_it(&node, &node, "job").await?;
    it_ends_by_itself(&node, &node).await
}

#[tokio::test]
async fn leases_work_over_different_servers_of_a_redis_cluster() -> Result<()> {
    let cluster = RedisCluster::start().await?;
    let node = |index| -> Result<_> { Node::redis(options([cluster.url(index)?])?) };
    let nodes = [node(0)?, node(1)?];
    for node in &nodes {
        node.reaches(State::Up).await?;
    }
    // Each of these servers has about a third of the keys.
    for number in 0..12 {
        one_holds_it(&nodes[0], &nodes[1], &format!("job-{number}")).await?;
    }
    Ok(())
}

/// What OPERATIONS.md adds for applications with leases.
fn lease_rules() -> Result<Vec<String>> {
    let text = std::fs::read_to_string(project_root().join("docs/OPERATIONS.md"))?;
    let row = text.lines().find(|line| line.ends_with("uses leases |"));
    let rules = row
        .and_then(|row| row.split('`').nth(1))
        .context("no rules")?;
    Ok(rules.split(' ').map(str::to_owned).collect())
}

async fn leases_need_the_rules_that_are_documented(format: Format) -> Result<()> {
    let server = RedisServer::start()?;
    let more = lease_rules()?;
    for left_out in more.iter().map(Some).chain([None]) {
        let mut rules = rules(&format)?;
        let given = more.iter().filter(|rule| Some(*rule) != left_out);
        // What the format itself needs is not left out.
        rules.extend(given.cloned());
        let needed = left_out.is_some_and(|rule| !rules.contains(rule));
        add_user(&server, "node", &rules)?;
        let mut options = options([server.user_url("node", "pw")])?;
        options.format = format.clone();
        let node = Node::redis(options)?;
        node.reaches(State::Up).await?;
        let (one, two) = (LeaseToken::random()?, LeaseToken::random()?);
        let works = async {
            node.claims("job", one, LONG).await?;
            node.claims("job", two, LONG).await?;
            node.releases("job", one).await
        };
        let worked = works.await;
        let covered = is_core(&format) && left_out.is_some_and(|rule| rule.starts_with('~'));
        assert_eq!(
            worked.is_err(),
            needed && !covered,
            "{left_out:?}: {worked:?}"
        );
        server.cli(&["DEL", "fanfare:asgi:lease:job"])?;
    }
    Ok(())
}

#[tokio::test]
async fn leases_need_the_documented_rules_with_pubsub() -> Result<()> {
    leases_need_the_rules_that_are_documented(pubsub()?).await
}

#[tokio::test]
async fn leases_need_the_documented_rules_with_core() -> Result<()> {
    leases_need_the_rules_that_are_documented(core()?).await
}

#[tokio::test]
async fn a_lost_redis_fails_a_claim() -> Result<()> {
    let mut server = RedisServer::start()?;
    let node = Node::redis(options([server.url()])?)?;
    node.reaches(State::Up).await?;
    server.kill();
    node.reaches(State::Down).await?;
    let claimed = node.claims("job", LeaseToken::random()?, LONG).await;
    let error = claimed.unwrap_err().to_string();
    assert!(
        error.contains("about a lease: the layer is unreachable"),
        "{error}"
    );
    Ok(())
}
