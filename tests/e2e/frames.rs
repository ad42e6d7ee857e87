//! RFC 6455 on a socket: fragments, pings, the close handshake, and what breaks the rules.

use std::time::Duration;

use anyhow::Result;
use fanfare_rig::{Cluster, ClusterOptions, Node, Opcode, RawConnection, RawFrame, within};
use tokio_tungstenite::tungstenite::Message;

use crate::support::SOON;

async fn echo(node: &Node) -> Result<RawConnection> {
    RawConnection::upgrade(node.address(), "/ws/echo").await
}

#[tokio::test]
async fn text_and_binary_come_back_as_they_were() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let mut socket = cluster[0].connect("/ws/echo").await?;
    for message in [
        Message::text("grüße, 世界"),
        Message::text(""),
        Message::binary(vec![0u8, 255, 128]),
        Message::binary(Vec::new()),
        Message::text("x".repeat(70_000)),
        Message::binary(vec![7u8; 1_000_000]),
    ] {
        socket.send(message.clone()).await?;
        assert_eq!(socket.message().await?, message);
    }
    Ok(())
}

#[tokio::test]
async fn fragments_are_put_together_and_a_ping_between_them_is_answered_first() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let mut socket = echo(&cluster[0]).await?;
    // Cut inside a character: UTF-8 is a matter of the message, not of the frame.
    socket
        .send(&RawFrame::fragment(Opcode::TEXT, b"gr\xc3".to_vec()))
        .await?;
    socket
        .send(&RawFrame::whole(Opcode::PING, "between"))
        .await?;
    socket
        .send(&RawFrame::fragment(Opcode::CONTINUATION, Vec::new()))
        .await?;
    socket
        .send(&RawFrame::whole(Opcode::CONTINUATION, b"\xbcn".to_vec()))
        .await?;
    assert_eq!(
        socket.frame().await?,
        RawFrame::whole(Opcode::PONG, "between")
    );
    assert_eq!(socket.frame().await?, RawFrame::whole(Opcode::TEXT, "grün"));
    Ok(())
}

#[tokio::test]
async fn many_frames_in_one_segment_are_all_answered_in_order() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let mut socket = echo(&cluster[0]).await?;
    let frames = (0..200).map(|n| RawFrame::whole(Opcode::TEXT, n.to_string()));
    let bytes: Vec<u8> = frames.clone().flat_map(|frame| frame.masked()).collect();
    socket.write(&bytes).await?;
    for frame in frames {
        assert_eq!(socket.frame().await?, frame);
    }
    Ok(())
}

#[tokio::test]
async fn a_close_is_answered_with_its_code_and_the_connection_ends() -> Result<()> {
    let cluster = Cluster::memory().await?;
    for code in [1000_u16, 1001, 3000, 4999] {
        let mut socket = echo(&cluster[0]).await?;
        socket
            .send(&RawFrame::whole(Opcode::CLOSE, code.to_be_bytes()))
            .await?;
        assert_eq!(socket.close_code().await?, code);
        assert!(socket.rest().await?.is_empty());
    }
    let mut socket = echo(&cluster[0]).await?;
    socket
        .send(&RawFrame::whole(Opcode::CLOSE, Vec::new()))
        .await?;
    assert_eq!(socket.frame().await?.opcode, Opcode::CLOSE);
    assert!(socket.rest().await?.is_empty());
    Ok(())
}

#[tokio::test]
async fn what_breaks_the_protocol_is_closed_with_1002() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let mut reserved = RawFrame::whole(Opcode::TEXT, "x").masked();
    reserved[0] |= 0x40;
    let cases = [
        ("no mask", RawFrame::whole(Opcode::TEXT, "x").unmasked()),
        ("a reserved bit", reserved),
        (
            "an unknown opcode",
            RawFrame::whole(Opcode(3), "x").masked(),
        ),
        (
            "an unknown control opcode",
            RawFrame::whole(Opcode(11), "x").masked(),
        ),
        (
            "a continuation of nothing",
            RawFrame::whole(Opcode::CONTINUATION, "x").masked(),
        ),
        (
            "a fragmented ping",
            RawFrame::fragment(Opcode::PING, "x").masked(),
        ),
        (
            "a long ping",
            RawFrame::whole(Opcode::PING, vec![b'x'; 126]).masked(),
        ),
        (
            "a close of one byte",
            RawFrame::whole(Opcode::CLOSE, vec![3]).masked(),
        ),
        (
            "close code 1005",
            RawFrame::whole(Opcode::CLOSE, 1005_u16.to_be_bytes()).masked(),
        ),
        (
            "close code 999",
            RawFrame::whole(Opcode::CLOSE, 999_u16.to_be_bytes()).masked(),
        ),
        (
            "a message inside a message",
            [
                RawFrame::fragment(Opcode::TEXT, "a").masked(),
                RawFrame::whole(Opcode::TEXT, "b").masked(),
            ]
            .concat(),
        ),
    ];
    for (what, bytes) in cases {
        let mut socket = echo(&cluster[0]).await?;
        socket.write(&bytes).await?;
        assert_eq!(socket.close_code().await?, 1002, "{what}");
    }
    Ok(())
}

#[tokio::test]
async fn text_that_is_no_utf8_is_closed_with_1007_before_the_message_is_complete() -> Result<()> {
    let cluster = Cluster::memory().await?;
    let mut whole = echo(&cluster[0]).await?;
    whole
        .send(&RawFrame::whole(Opcode::TEXT, vec![b'a', 0xff]))
        .await?;
    assert_eq!(whole.close_code().await?, 1007);

    let mut early = echo(&cluster[0]).await?;
    early
        .send(&RawFrame::fragment(Opcode::TEXT, vec![0xed, 0xa0, 0x80]))
        .await?;
    assert_eq!(early.close_code().await?, 1007);

    let mut cut = echo(&cluster[0]).await?;
    cut.send(&RawFrame::whole(Opcode::TEXT, vec![0xe4, 0xb8]))
        .await?;
    assert_eq!(cut.close_code().await?, 1007);

    let mut reason = echo(&cluster[0]).await?;
    reason
        .send(&RawFrame::whole(Opcode::CLOSE, vec![0x03, 0xe8, 0xff]))
        .await?;
    assert_eq!(reason.close_code().await?, 1007);
    Ok(())
}

#[tokio::test]
async fn a_frame_over_the_limit_is_closed_with_1009_at_its_header() -> Result<()> {
    let cluster = ClusterOptions::new()
        .set("limits.frame_bytes", 1000)
        .start()
        .await?;
    let mut fits = echo(&cluster[0]).await?;
    fits.send(&RawFrame::whole(Opcode::BINARY, vec![1; 1000]))
        .await?;
    assert_eq!(fits.frame().await?.payload.len(), 1000);

    let mut over = echo(&cluster[0]).await?;
    let frame = RawFrame::whole(Opcode::BINARY, vec![1; 1001]).masked();
    let (header, _) = frame.split_at(4);
    over.write(header).await?;
    assert_eq!(over.close_code().await?, 1009);
    Ok(())
}

#[tokio::test]
async fn a_message_over_the_limit_is_closed_with_1009_however_it_is_cut() -> Result<()> {
    let cluster = ClusterOptions::new()
        .set("limits.message_bytes", 1000)
        .start()
        .await?;
    let mut socket = echo(&cluster[0]).await?;
    socket
        .send(&RawFrame::fragment(Opcode::BINARY, vec![1; 600]))
        .await?;
    socket
        .send(&RawFrame::fragment(Opcode::CONTINUATION, vec![1; 401]))
        .await?;
    assert_eq!(socket.close_code().await?, 1009);
    Ok(())
}

#[tokio::test]
async fn a_silent_client_is_pinged_and_dropped_when_it_does_not_answer() -> Result<()> {
    let cluster = ClusterOptions::new()
        .set("ping.interval_ms", 300)
        .set("ping.timeout_ms", 600)
        .start()
        .await?;
    let node = &cluster[0];
    let mut dead = echo(node).await?;
    let mut alive = echo(node).await?;
    let survivor = tokio::spawn(async move {
        let mut pings = 0;
        while pings < 5 {
            let ping = alive.frame().await?;
            assert_eq!(ping.opcode, Opcode::PING);
            alive
                .send(&RawFrame::whole(Opcode::PONG, ping.payload))
                .await?;
            pings += 1;
        }
        alive
            .send(&RawFrame::whole(Opcode::TEXT, "still here"))
            .await?;
        loop {
            let frame = alive.frame().await?;
            if frame.opcode == Opcode::TEXT {
                return anyhow::Ok(frame.payload);
            }
        }
    });
    assert_eq!(dead.frame().await?.opcode, Opcode::PING);
    within(
        Duration::from_secs(8),
        "the end of the dead one",
        dead.rest(),
    )
    .await??;
    assert_eq!(survivor.await??, b"still here");
    let reason = [("reason", "ping_timeout")];
    node.metric_when("fanfare_sessions_closed_total", &reason, SOON, |n| n > 0.0)
        .await?;
    Ok(())
}
