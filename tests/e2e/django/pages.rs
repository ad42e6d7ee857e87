//! The pages of the sample in a real browser.

use std::time::Duration;

use anyhow::{Context, Result};
use fanfare_rig::{DjangoSite, RedisServer, Turn, Visitor, within};
use serde_json::json;

use super::{Format, ROOM, Site, ask, node, post, welcomed};
use crate::browser::{Chromium, Tab};

/// For a whole test: the browser's protocol has no deadlines of its own.
const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_logs_in_and_chats_through_nginx() -> Result<()> {
    let site = Site::start(Format::PubSub).await?;
    within(LIMIT, "the chat", chat(&site))
        .await?
        .with_context(|| format!("{}\n{}", site.nginx.log(), site.django.log()))
}

async fn chat(site: &Site) -> Result<()> {
    let mut bob = site.visitor("bob").await?;
    let mut at_bob = site.open(&bob).await?;
    let mut chromium = Chromium::start().await?;
    let ann = chromium.tab(&site.nginx.url()).await?;
    log_in(&ann).await?;

    ann.fill("text", "hello, <b>bob</b>").await?;
    ann.click("send").await?;
    ann.shows("#log li.message", "hello, <b>bob</b>").await?;
    let heard = json!({"type": "chat.message", "message": "hello, <b>bob</b>"});
    assert_eq!(at_bob.json().await?, heard);
    post(&mut bob, "/chat/lobby/say/", &[("text", "hello, ann")]).await?;
    ann.shows("#log li.message", "bob: hello, ann").await?;
    let fields = [("to", "ann"), ("text", "for ann's tabs")];
    post(&mut bob, "/notify/", &fields).await?;
    ann.shows("#log li.notification", "for ann's tabs").await?;
    let fields = [("to", "ann"), ("text", "for this tab")];
    post(&mut bob, "/direct/", &fields).await?;
    ann.shows("#log li.direct", "for this tab").await?;

    ann.click("logout").await?;
    ann.holds("location.pathname === '/login/'").await?;
    chromium.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn beside_runserver_a_page_opens_its_socket_on_fanfares_own_port() -> Result<()> {
    let _turn = Turn::shared().await;
    let redis = RedisServer::start()?;
    let format = Format::PubSub;
    let mut django = DjangoSite::start(format.layer(&redis), &["ann", "bob"]).await?;
    let origins = [format!("http.origins=[\"{}\"]", django.url())];
    let fanfare = node("development", format, &redis, &django, &origins).await?;
    let sockets = format!("ws://{}", fanfare.address());
    ask(&mut django, &fanfare, &[("FANFARE_WS", &sockets)]).await?;

    let mut bob = Visitor::new(django.address())?;
    bob.login("bob").await?;
    let mut at_bob = welcomed(&bob, fanfare.address(), ROOM).await?;
    let story = async {
        let mut chromium = Chromium::start().await?;
        let ann = chromium.tab(&django.url()).await?;
        log_in(&ann).await?;
        ann.fill("text", "hello").await?;
        ann.click("send").await?;
        ann.shows("#log li.message", "hello").await?;
        let heard = json!({"type": "chat.message", "message": "hello"});
        assert_eq!(at_bob.json().await?, heard);
        chromium.close().await
    };
    within(LIMIT, "the chat", story)
        .await?
        .with_context(|| format!("{}\n{}", fanfare.log(), django.log()))
}

/// Fills in the form that a visitor without a session is led to, and waits until the page has its
/// socket and has told Django of it.
async fn log_in(tab: &Tab) -> Result<()> {
    tab.holds("location.pathname === '/login/'").await?;
    tab.fill("id_username", "ann").await?;
    tab.fill("id_password", "password of ann").await?;
    tab.click("login").await?;
    tab.holds("document.getElementById('status').textContent === 'connected'")
        .await
}
