//! What one address, or one member, can take from the others.

use std::net::Ipv4Addr;
use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::{Node, Opcode, RawConnection, RawFrame, Socket, SocketOptions, eventually};
use futures_util::future::{join_all, try_join_all};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use crate::application::Application;
use crate::auth::{asked, with};
use crate::handshake::{expect, refused};
use crate::{node, node_with_config};

/// The sender reads nothing, so it must get nothing.
const ROOM: &str = r#"
[[routes]]
path = "/flood"
groups = ["flood"]
on_receive = "group_send"
event_type = "chat.message"
exclude_sender = true
[routes.deliver."chat.message"]
send = "message"
"#;
const LIMIT: Duration = Duration::from_secs(20);
/// How long a member floods its group.
const FLOOD: Duration = Duration::from_secs(2);
/// What a reader takes, in bytes in a second.
const READS: usize = 400_000;

async fn from(node: &Node, last: u8, headers: &[(&str, &str)]) -> Result<Socket> {
    let headers = headers.iter();
    let options = SocketOptions {
        headers: headers
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect(),
        source: Some(Ipv4Addr::new(127, 0, 0, last)),
        ..SocketOptions::default()
    };
    Socket::connect(node.address(), "/ws/echo", &options).await
}

async fn refusals(node: &Node, cause: &str) -> Result<f64> {
    let cause = [("cause", cause)];
    node.metric("fanfare_sessions_refused_total", &cause).await
}

#[tokio::test]
async fn an_address_with_too_many_handshakes_is_told_to_wait_and_others_are_not() -> Result<()> {
    let application = Application::start(|_| with(204))?;
    let node = node(&[
        &application.setting(),
        "auth.cache_ms=0",
        "limits.rate.handshakes_per_second_per_address=1",
        "limits.rate.burst=3",
    ])
    .await?;
    // One more may come while the machine is slow.
    let response = eventually(LIMIT, "a refusal", async || {
        let mut raw = RawConnection::open(node.address()).await?;
        let request = raw.handshake("/ws/echo", "X-Forwarded-For: 203.0.113.9\r\n");
        raw.write(request.as_bytes()).await?;
        let response = raw.head().await?;
        Ok((response.status != 101).then_some(response))
    })
    .await?;
    ensure!(response.status == 429, "{response:?}");
    let wait = response.header("retry-after").map(str::parse::<u64>);
    ensure!(matches!(wait, Some(Ok(1..))), "{response:?}");
    ensure!(refusals(&node, "rate_limited").await? == 1.0);
    let accepted = node.metric("fanfare_sessions_opened_total", &[]).await?;
    ensure!(accepted >= 3.0, "{accepted}");
    // The application heard nothing of the one that was refused.
    ensure!(asked(&node, "accepted").await? == accepted);
    from(&node, 2, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn behind_a_trusted_proxy_each_client_is_an_address_of_its_own() -> Result<()> {
    let node = node(&[
        "http.trusted_proxies=127.0.0.1",
        "limits.rate.sessions_per_address=1",
    ])
    .await?;
    let client = |ip: &'static str| [("X-Forwarded-For", ip)];
    let first = from(&node, 1, &client("203.0.113.1")).await?;
    let _second = from(&node, 1, &client("203.0.113.2")).await?;
    let response = refused(&node, "/ws/echo", "X-Forwarded-For: 203.0.113.1\r\n").await?;
    expect(&response, 403, "too_many_sessions")?;
    ensure!(refusals(&node, "too_many_sessions").await? == 1.0);
    first.close(1000).await?;
    eventually(Duration::from_secs(10), "room for one more", async || {
        Ok(from(&node, 1, &client("203.0.113.1")).await.ok())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_process_on_this_machine_counts_like_others() -> Result<()> {
    let node = node(&["limits.rate.sessions_per_address=1"]).await?;
    let _one = from(&node, 1, &[]).await?;
    expect(
        &refused(&node, "/ws/echo", "").await?,
        403,
        "too_many_sessions",
    )?;
    from(&node, 2, &[]).await?;
    Ok(())
}

#[tokio::test]
async fn an_address_that_floods_the_application_waits_behind_itself() -> Result<()> {
    let application = Application::held(|_| with(204))?;
    let node = node(&[
        &application.setting(),
        "auth.concurrency=1",
        "auth.timeout_ms=20000",
        "limits.handshake_ms=30000",
    ])
    .await?;
    let ask = |last: u8, id: usize| {
        let (node, cookie) = (&node, format!("id={last}.{id}"));
        async move { from(node, last, &[("Cookie", &cookie)]).await }
    };
    let flood = join_all((0..40).map(|id| ask(2, id)));
    let others = async {
        handshakes(&node, 2, 40).await?;
        let other = async {
            handshakes(&node, 3, 1).await?;
            // The one that runs, at most two of the flood, and the other address.
            for _ in 0..4 {
                application.waiting(1).await?;
                application.release(1);
            }
            Ok(())
        };
        tokio::try_join!(ask(3, 0), other)?;
        ensure!(application.asked().len() <= 5, "it waited for the flood");
        application.release(100);
        Ok::<_, anyhow::Error>(())
    };
    let (flood, others) = tokio::join!(flood, others);
    others?;
    ensure!(flood.iter().all(Result::is_ok), "{flood:?}");
    Ok(())
}

/// Waits until so many handshakes of an address have come.
async fn handshakes(node: &Node, last: u8, count: usize) -> Result<()> {
    let line = format!("WebSocket HANDSHAKING /ws/echo [127.0.0.{last}:");
    eventually(LIMIT, &format!("{count} times {line:?}"), async || {
        Ok((node.log().matches(&line).count() == count).then_some(()))
    })
    .await
}

#[tokio::test]
async fn one_member_who_sends_without_pause_cuts_no_reader_of_its_room() -> Result<()> {
    // 6 bytes, 200 bytes, 1 KiB and 64 KiB on the wire.
    for payload in [0, 200 - 8, 1024 - 8, 64 * 1024 - 14] {
        let node = node_with_config(ROOM, &["log.access=false"]).await?;
        let end = Instant::now() + FLOOD;
        let readers = (0..20).map(|_| node.connect("/flood"));
        let readers = try_join_all(readers).await?;
        let sender = RawConnection::upgrade(node.address(), "/flood").await?;
        let readers = join_all(readers.iter().map(|reader| read(reader, end)));
        let ((), sent) = tokio::join!(
            async { readers.await.into_iter().for_each(drop) },
            flood(sender, payload, end),
        );
        let cut = node
            .metric("fanfare_slow_sessions_closed_total", &[])
            .await?;
        ensure!(
            cut == 0.0,
            "{cut} readers were cut at {payload} bytes, {sent} writes"
        );
        ensure!(node.metric("fanfare_sessions", &[]).await? >= 20.0);
        ensure!(node.metric("fanfare_throttles_total", &[]).await? > 0.0);
    }
    Ok(())
}

/// Sends messages of one size as fast as they are taken; answers how many writes were.
async fn flood(mut sender: RawConnection, payload: usize, end: Instant) -> usize {
    let frame = RawFrame::whole(Opcode::TEXT, vec![b'x'; payload]).masked();
    let chunk = frame.repeat((64 * 1024 / frame.len()).max(1));
    let mut writes = 0;
    while let Ok(Ok(())) = timeout_at(end, sender.write(&chunk)).await {
        writes += 1;
    }
    writes
}

/// Reads [`READS`] bytes in a second, also if a turn comes late.
async fn read(reader: &Socket, end: Instant) {
    const TURNS: usize = 100;
    let mut buffer = vec![0; READS / TURNS];
    let mut turns = interval(Duration::from_secs(1) / 100);
    turns.set_missed_tick_behavior(MissedTickBehavior::Burst);
    while turns.tick().await < end {
        // Nothing there, or the end: the metrics tell.
        let _ = reader.tcp().try_read(&mut buffer);
    }
}
