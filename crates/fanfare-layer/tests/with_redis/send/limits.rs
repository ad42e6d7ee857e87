//! Capacity, age and the order of scores.

use fanfare_rig::{Logs, PythonLayer, PythonOptions};

use super::*;

fn is_full(outcome: &Result<(), PublishError>, name: &str) -> bool {
    matches!(outcome, Err(PublishError::ChannelFull { channel }) if channel.as_str() == name)
}

#[tokio::test]
async fn a_channel_takes_as_many_as_may_wait_and_python_receives_them_in_order() -> Result<()> {
    let site = Site::start(1).await?;
    let mut python = PythonLayer::with(&PythonOptions::core([site.servers[0].url()])).await?;
    let name = python.new_channel().await?;
    let envelopes = (0..105).map(|number| Envelope::new(numbered(number)));
    let sent: Vec<_> = envelopes
        .map(|envelope| site.publish(channel(&name), &envelope))
        .collect();
    for (number, publish) in sent.into_iter().enumerate() {
        let outcome = within(SOON, "the publish", publish.confirmed()).await?;
        let expected = if number < 100 {
            outcome.is_ok()
        } else {
            is_full(&outcome, &name)
        };
        assert!(expected, "{number}: {outcome:?}");
    }
    assert_eq!(site.metrics.failures.channel_full.get(), 5);
    let life = site.cli(&["TTL", &site.keys.channel(&name)])?;
    assert!(matches!(life, Value::Int(59..=60)), "{life:?}");
    for number in 0..100 {
        assert_eq!(python.receive(&name).await?["number"], number);
    }
    Ok(())
}

#[tokio::test]
async fn copies_of_a_group_that_meet_full_channels_are_counted_and_told_once() -> Result<()> {
    let capacities = Capacities::new(100, &[("specific.a*".into(), 2), ("*".into(), 3)])?;
    let site = Site::with(1, capacities).await?;
    site.join("room", &["specific.a!1", "specific.b!1"])?;
    let logs = Logs::of_this_thread();
    for number in 0..5 {
        site.send(group("room"), numbered(number)).await??;
    }
    let sizes = [
        site.waiting(0, "specific.a!")?.len(),
        site.waiting(0, "specific.b!")?.len(),
    ];
    assert_eq!(sizes, [2, 3]);
    assert_eq!(site.metrics.over_capacity.get(), 3 + 2);
    let logs = logs.take();
    assert!(logs.contains("1 of 2 channels over capacity"), "{logs}");
    assert_eq!(logs.matches("over capacity").count(), 1, "{logs}");
    Ok(())
}

#[tokio::test]
async fn messages_that_are_too_old_take_no_room_and_are_gone_and_counted() -> Result<()> {
    let site = Site::with(1, Capacities::new(2, &[])?).await?;
    let now = site.connections[0].now();
    let ages = [("p1", now - 61.5), ("p2", now - 62.5), ("p3", now - 50.0)];
    for (member, score) in ages {
        let member = format!("............{member}");
        site.cli(&["ZADD", "asgijobs", &score.to_string(), &member])?;
    }
    site.send(channel("jobs"), numbered(1)).await??;
    let waiting = site.waiting(0, "jobs")?;
    assert_eq!(
        (waiting.len(), waiting[0].as_slice()),
        (2, b"p3".as_slice())
    );
    assert_eq!(site.metrics.lapsed.get(), 2);
    let outcome = site.send(channel("jobs"), numbered(2)).await?;
    assert!(is_full(&outcome, "jobs"), "{outcome:?}");
    Ok(())
}

#[tokio::test]
async fn scores_only_rise_even_behind_a_sender_whose_clock_is_ahead() -> Result<()> {
    let site = Site::with(1, Capacities::new(5000, &[])?).await?;
    let ahead = format!("{:.7}", site.connections[0].now() + 5.0);
    site.cli(&["ZADD", "asgijobs", &ahead, "............x"])?;
    let sent: Vec<_> = (0..3000)
        .map(|number| site.publish(channel("jobs"), &Envelope::new(numbered(number))))
        .collect();
    for publish in sent {
        within(SOON, "the publish", publish.confirmed()).await??;
    }
    let answer = site.cli(&["ZRANGE", "asgijobs", "0", "-1", "WITHSCORES"])?;
    let flat: Vec<(Vec<u8>, f64)> = redis::from_redis_value(answer)?;
    assert_eq!(flat.len(), 3001);
    assert!(flat.windows(2).all(|pair| pair[0].1 < pair[1].1));
    let numbers: Vec<_> = flat[1..]
        .iter()
        .map(|(body, _)| site.serializer.read(&body.clone().into()).unwrap())
        .map(|read| read.envelope.event)
        .collect();
    let expected: Vec<_> = (0..3000).map(numbered).collect();
    assert_eq!(numbers, expected);
    Ok(())
}

#[tokio::test]
async fn members_whose_membership_has_lapsed_get_nothing_and_are_taken_out() -> Result<()> {
    let site = Site::start(1).await?;
    let long_ago = (site.connections[0].now() - 86_402.0).to_string();
    site.cli(&["ZADD", "asgi:group:room", &long_ago, "specific.old!1"])?;
    site.join("room", &["specific.new!1"])?;
    site.send(group("room"), numbered(1)).await??;
    assert!(site.waiting(0, "specific.old!")?.is_empty());
    assert_eq!(site.waiting(0, "specific.new!")?.len(), 1);
    assert_eq!(site.cli(&["ZCARD", "asgi:group:room"])?, Value::Int(1));
    Ok(())
}

#[tokio::test]
async fn a_user_that_may_only_do_what_sending_needs_is_denied_nothing() -> Result<()> {
    let server = RedisServer::start()?;
    let rules = [
        "~asgi*",
        "+evalsha",
        "+script|load",
        "+time",
        "+zcount",
        "+zrange",
        "+zadd",
        "+zremrangebyscore",
        "+expire",
    ];
    server.add_user("sender", "sesame", &rules)?;
    let url = server.user_url("sender", "sesame");
    let site = Site::of(vec![server], vec![url], Capacities::new(1, &[])?).await?;
    site.join("room", &["specific.a!1"])?;
    site.send(group("room"), numbered(1)).await??;
    site.send(channel("jobs"), numbered(1)).await??;
    let outcome = site.send(channel("jobs"), numbered(2)).await?;
    assert!(is_full(&outcome, "jobs"), "{outcome:?}");
    let denials = site.servers[0].denials()?;
    assert!(denials.is_empty(), "{denials:?}");
    Ok(())
}
