//! Channels that a page names: Django believes a session of its own user, and nothing else.

use anyhow::{Context, Result, ensure};
use fanfare_rig::eventually;
use serde_json::json;

use super::{Format, Site, frame, post};
use crate::support::SOON;

#[tokio::test]
async fn a_page_that_names_what_is_not_its_own_channel_is_refused() -> Result<()> {
    foreign_channels(Format::PubSub).await
}

#[tokio::test]
async fn on_core_too_a_page_that_names_what_is_not_its_own_channel_is_refused() -> Result<()> {
    foreign_channels(Format::Core).await
}

async fn foreign_channels(format: Format) -> Result<()> {
    let site = Site::start(format).await?;
    let mut ann = site.visitor("ann").await?;
    let mut bob = site.visitor("bob").await?;
    // nginx spreads them, so Django asks about sessions of both nodes.
    let at_ann = site.open(&ann).await?;
    let mut at_bob = site.open(&bob).await?;
    let also_ann = site.open(&ann).await?;
    let ended = also_ann.channel().to_owned();
    also_ann.close(1000).await?;
    let node = site.nodes.first().context("a node")?;
    eventually(SOON, "the end of a session", async || {
        let answer = node.api().get(&format!("/api/v1/channels/{ended}")).await?;
        Ok((answer.status == 404).then_some(()))
    })
    .await?;

    let (process, _) = at_ann.channel().split_once('!').context("a channel")?;
    let names = [
        "asgi__group__fanfare.all",
        "asgi__group__chat_lobby",
        "__group__chat_lobby",
        "fanfare.all",
        "chat_lobby",
        "fanfare.user.2",
        "fanfare:asgi:nodes",
        "work",
        "../nodes",
        "",
        "?",
        "specific.0123456789abcdef0123456789abcdef!0123456789abcdef",
        // As a consumer of channels_redis is called.
        "specific.0123456789abcdef0123456789abcdef!0123456789abcdef0123456789abcdef",
        &format!("{process}.g0!chat_lobby"),
        &format!("{process}!"),
        process,
        &ended,
        at_bob.channel(),
    ];
    for name in names {
        let answer = ann.post("/connection/", &[("channel", name)]).await?;
        ensure!(answer.status == 403, "{name:?}: {answer:?}");
        let fields = [("to", "ann"), ("text", "to nobody")];
        let answer = bob.post("/direct/", &fields).await?;
        ensure!(answer.status == 404, "{name:?} was stored: {answer:?}");
        let answer = ann.post("/work/", &[("text", "nothing")]).await?;
        ensure!(answer.status == 404, "{name:?} was stored: {answer:?}");
    }
    for (visitor, socket) in [(&mut ann, &at_ann), (&mut bob, &at_bob)] {
        let own = [("channel", socket.channel())];
        post(visitor, "/connection/", &own).await?;
    }
    post(&mut ann, "/direct/", &[("to", "bob"), ("text", "hello")]).await?;
    let direct = json!({"type": "direct", "from": "ann", "text": "hello"});
    assert_eq!(at_bob.json().await?, direct, "and nothing came before");
    Ok(())
}

#[tokio::test]
async fn a_user_publishes_to_no_room_that_it_may_not_enter() -> Result<()> {
    let site = Site::start(Format::PubSub).await?;
    let mut ann = site.visitor("ann").await?;
    let mut staff = site.visitor("staff").await?;
    let text = [("text", "let me in")];
    let answer = ann.post("/chat/staff/say/", &text).await?;
    ensure!(answer.status == 403, "{answer:?}");
    let answer = ann.get("/chat/staff/").await?;
    ensure!(answer.status == 403, "{answer:?}");
    post(&mut staff, "/chat/staff/say/", &text).await
}

#[tokio::test]
async fn django_excludes_a_session_from_an_event_to_its_group() -> Result<()> {
    excluding(Format::PubSub).await
}

#[tokio::test]
async fn on_core_too_django_excludes_a_session_from_an_event_to_its_group() -> Result<()> {
    excluding(Format::Core).await
}

async fn excluding(format: Format) -> Result<()> {
    let site = Site::start(format).await?;
    let (ann, bob) = (site.visitor("ann").await?, site.visitor("bob").await?);
    let (mut at_ann, mut at_bob) = (site.open(&ann).await?, site.open(&bob).await?);
    let code = format!(
        "from chat.fanfare import excluding, frame, publish\n\
         for text, channels in (('not for ann', ['{}']), ('for all', [])):\n    \
             publish('chat_lobby', excluding(frame(type='note', text=text), channels))",
        at_ann.channel()
    );
    site.django.manage(&["shell", "-c", &code]).await?;
    assert_eq!(at_bob.json().await?, frame("note", "not for ann"));
    for socket in [&mut at_ann, &mut at_bob] {
        assert_eq!(socket.json().await?, frame("note", "for all"));
    }
    Ok(())
}
