//! Who may enter a room, however the path of the room is spelled: at a node, and through the guide's
//! nginx.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use fanfare_rig::{Opcode, RawConnection, RawFrame, Visitor, spellings};
use serde_json::{Value, json};

use super::{Format, Site};

/// What somebody writes who would like Django to read another path.
const FORGED: &str = "X-Fanfare-Path: /ws/chat/lobby/\r\nX-Fanfare-Groups: chat_lobby\r\n\
    X-Fanfare-Params: room=lobby\r\nX-Original-URI: /ws/chat/lobby/\r\n";

/// Opens a target with the cookies of a visitor; the status if it is refused.
async fn open(
    address: SocketAddr,
    visitor: &Visitor,
    target: &str,
) -> Result<Result<RawConnection, u16>> {
    let mut socket = RawConnection::open(address).await?;
    let more = format!("Cookie: {}\r\n{FORGED}", visitor.cookie());
    let request = socket.handshake(target, &more);
    socket.write(request.as_bytes()).await?;
    let status = socket.head().await?.status;
    Ok(if status == 101 {
        Ok(socket)
    } else {
        Err(status)
    })
}

/// Whether what a socket sends to its room comes from the room for staff.
async fn is_in_the_staff_room(site: &Site, socket: &mut RawConnection) -> Result<bool> {
    let welcome = json_frame(socket).await?;
    ensure!(field(&welcome, "type") == "welcome", "{welcome}");
    let node = site.nodes.first().context("a node")?;
    let event = |text: &str| json!({"type": "note", "message": text});
    node.api()
        .publish_group("chat_staff", &event("for staff"))
        .await?;
    let own = RawFrame::whole(Opcode::TEXT, "its own room");
    socket.send(&own).await?;
    Ok(field(&json_frame(socket).await?, "message") == "for staff")
}

fn field<'f>(frame: &'f Value, name: &str) -> &'f str {
    frame.get(name).and_then(Value::as_str).unwrap_or_default()
}

async fn json_frame(socket: &mut RawConnection) -> Result<Value> {
    let frame = socket.frame().await?;
    serde_json::from_slice(&frame.payload).context("a frame of JSON")
}

#[tokio::test]
async fn no_spelling_of_a_room_lets_somebody_in_who_may_not_enter_it() -> Result<()> {
    let site = Site::start(Format::PubSub).await?;
    let ann = site.visitor("ann").await?;
    let staff = site.visitor("staff").await?;
    let node = site.nodes.first().context("a node")?.address();
    for address in [node, site.nginx.address()] {
        let targets = spellings("staff", &address.to_string());
        ensure!(targets.len() >= 40, "{}", targets.len());
        let mut entered = Vec::new();
        for target in &targets {
            if let Ok(mut socket) = open(address, &ann, target).await? {
                let inside = is_in_the_staff_room(&site, &mut socket).await?;
                ensure!(!inside, "ann is in the room for staff: {target}");
            }
            // The same spelling, by somebody who may enter.
            if let Ok(mut socket) = open(address, &staff, target).await?
                && is_in_the_staff_room(&site, &mut socket).await?
            {
                let refused = open(address, &ann, target).await?.err();
                ensure!(refused == Some(403), "{target}: {refused:?}");
                entered.push(target.as_str());
            }
        }
        // The room has more than one spelling, so the refusals above are Django's.
        for target in ["/ws/chat/staff/", "/ws/chat/staff", "/ws/chat/%73taff/"] {
            ensure!(entered.contains(&target), "{address}: {entered:?}");
        }
    }
    Ok(())
}
