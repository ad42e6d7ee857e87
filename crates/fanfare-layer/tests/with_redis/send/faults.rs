//! Hosts that refuse, are down, or hang.

use super::*;

/// Names of groups or processes that live on each of two hosts.
fn on(host: usize, what: impl Fn(usize) -> String) -> String {
    let mut names = (0..).map(what);
    names.find(|name| shard(name, 2) == host).unwrap()
}

#[tokio::test]
async fn an_error_of_the_server_reaches_the_publish_that_it_is_about() -> Result<()> {
    let site = Site::start(1).await?;
    site.cli(&["SET", "asgiodd", "no zset"])?;
    site.cli(&["SET", "asgi:group:odd", "no zset"])?;
    let targets = [channel("odd"), group("odd"), channel("even")];
    let sent = targets.map(|target| site.publish(target, &Envelope::new(numbered(1))));
    let mut outcomes = Vec::new();
    for publish in sent {
        outcomes.push(within(SOON, "the publish", publish.confirmed()).await?);
    }
    for refused in &outcomes[..2] {
        let words = format!("{refused:?}");
        assert!(
            words.contains("Down") && words.contains("WRONGTYPE"),
            "{words}"
        );
    }
    assert_eq!(outcomes[2], Ok(()));
    assert_eq!(site.metrics.failures.refused.get(), 2);
    Ok(())
}

#[tokio::test]
async fn a_server_without_memory_refuses_and_keeps_what_it_has() -> Result<()> {
    let site = Site::start(1).await?;
    site.send(channel("jobs"), numbered(1)).await??;
    site.cli(&["CONFIG", "SET", "maxmemory", "1"])?;
    let outcome = format!("{:?}", site.send(channel("jobs"), numbered(2)).await?);
    assert!(outcome.contains("OOM"), "{outcome}");
    site.cli(&["CONFIG", "SET", "maxmemory", "0"])?;
    assert_eq!(site.waiting(0, "jobs")?.len(), 1);
    Ok(())
}

#[tokio::test]
async fn a_host_that_is_down_fails_only_what_lives_on_it() -> Result<()> {
    let site = Site::start(2).await?;
    let down = PublishError::Down("gone".into());
    let there = on(0, |at| format!("p{at}!"));
    let gone = on(1, |at| format!("p{at}!"));
    let members = [format!("{there}m"), format!("{gone}m")];
    let names = [members[0].as_str(), members[1].as_str()];
    let [room, lost] = [0, 1].map(|host| on(host, |at| format!("g{at}")));
    site.join(&room, &names)?;
    site.connections[1].refuse(down.clone());
    assert_eq!(site.send(channel(names[0]), numbered(1)).await?, Ok(()));
    let outcome = site.send(channel(names[1]), numbered(1)).await?;
    assert_eq!(outcome, Err(down.clone()));
    let outcome = site.send(group(&lost), numbered(1)).await?;
    assert_eq!(outcome, Err(down));
    let outcome = site.send(group(&room), numbered(2)).await?;
    assert!(
        matches!(outcome, Err(PublishError::Unanswered(_))),
        "{outcome:?}"
    );
    assert_eq!(site.waiting(0, &there)?.len(), 2, "the other copies go out");
    for number in 0..4 {
        site.send(channel("jobs"), numbered(number)).await??;
    }
    assert_eq!(site.waiting(0, "jobs")?.len(), 4);
    Ok(())
}

#[tokio::test]
async fn a_normal_channel_is_sent_to_on_one_host_after_the_other() -> Result<()> {
    let site = Site::start(2).await?;
    for number in 0..6 {
        site.send(channel("jobs"), numbered(number)).await??;
    }
    let sizes = [
        site.waiting(0, "jobs")?.len(),
        site.waiting(1, "jobs")?.len(),
    ];
    assert_eq!(sizes, [3, 3]);
    Ok(())
}

#[tokio::test]
async fn a_host_that_hangs_is_waited_for_once_and_fails_what_it_was_sent() -> Result<()> {
    let site = Site::start(2).await?;
    let [there, hung] = [0, 1].map(|host| on(host, |at| format!("p{at}!")) + "m");
    let lost = on(1, |at| format!("g{at}"));
    site.servers[1].pause()?;
    let start = Instant::now();
    let targets = [channel(&there), group(&lost), channel(&hung)];
    let sent = targets.map(|target| site.publish(target, &Envelope::new(numbered(1))));
    let mut outcomes = Vec::new();
    for publish in sent {
        outcomes.push(within(SOON, "the publish", publish.confirmed()).await?);
    }
    let took = start.elapsed();
    assert_eq!(outcomes[0], Ok(()));
    assert!(outcomes[1..].iter().all(Result::is_err), "{outcomes:?}");
    assert!(took < LIMIT * 2, "it was waited for {took:?}");
    let reason = within(SOON, "the fault", site.connections[1].failure()).await?;
    assert!(reason.contains("no answer"), "{reason}");
    let outcome = site.send(channel(&hung), numbered(2)).await?;
    assert!(
        matches!(&outcome, Err(PublishError::Down(_))),
        "{outcome:?}"
    );
    assert!(start.elapsed() < LIMIT * 2, "it was waited for again");
    site.servers[1].resume()
}

#[tokio::test]
async fn a_server_that_has_forgotten_the_script_is_as_good_as_lost() -> Result<()> {
    let site = Site::start(1).await?;
    site.cli(&["SCRIPT", "FLUSH"])?;
    let outcome = site.send(channel("jobs"), numbered(1)).await?;
    assert!(
        matches!(&outcome, Err(PublishError::Down(_))),
        "{outcome:?}"
    );
    let reason = within(SOON, "the fault", site.connections[0].failure()).await?;
    assert!(reason.contains("script"), "{reason}");
    Ok(())
}

#[tokio::test]
async fn a_server_that_is_no_master_any_more_is_as_good_as_lost() -> Result<()> {
    for stale in ["yes", "no"] {
        for target in [channel("jobs"), group("room")] {
            let site = Site::start(1).await?;
            site.cli(&["CONFIG", "SET", "replica-serve-stale-data", stale])?;
            site.cli(&["REPLICAOF", "127.0.0.1", "1"])?;
            let outcome = site.send(target, numbered(1)).await?;
            assert!(
                matches!(&outcome, Err(PublishError::Down(_))),
                "{outcome:?}"
            );
            within(SOON, "the fault", site.connections[0].failure()).await?;
            assert_eq!(site.metrics.failures.down.get(), 1);
        }
    }
    Ok(())
}
