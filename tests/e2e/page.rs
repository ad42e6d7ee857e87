//! The demo page in a real browser: two tabs on two nodes.

use std::time::Duration;

use anyhow::{Result, ensure};
use fanfare_rig::{API_KEY, Cluster, ClusterOptions, Node, RedisServer, within};

use crate::browser::Chromium;

/// For a whole test: the browser's protocol has no deadlines of its own.
const LIMIT: Duration = Duration::from_secs(90);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_tabs_on_two_nodes_chat_and_push_and_the_console_stays_clean() -> Result<()> {
    let redis = RedisServer::start()?;
    let cluster = ClusterOptions::new()
        .nodes(2)
        .redis(&redis.url())
        .start()
        .await?;
    within(LIMIT, "the chat", chat(&cluster)).await?
}

async fn chat(cluster: &Cluster) -> Result<()> {
    let mut chromium = Chromium::start().await?;
    let ann = chromium
        .tab(&at(&cluster[0], "/?room=lobby&name=ann"))
        .await?;
    let bob = chromium.tab(&at(&cluster[1], "/?name=bob")).await?;

    bob.fill("room", "lobby").await?;
    bob.click("join").await?;
    for tab in [&ann, &bob] {
        tab.holds("document.getElementById('chat-status').dataset.state === 'open'")
            .await?;
        tab.holds("document.getElementById('notify-status').dataset.state === 'open'")
            .await?;
    }
    ann.fill("message", "hello, <b>bob</b>").await?;
    ann.click("send").await?;
    bob.shows("#chat-log li.said", "hello, <b>bob</b>").await?;
    bob.fill("message", "hello, ann").await?;
    bob.click("send").await?;
    ann.shows("#chat-log li.said", "hello, ann").await?;
    ann.shows("#live-list li", "hello, ann").await?;

    bob.holds("document.getElementById('own-channel').textContent.includes('!')")
        .await?;
    let channel = bob.text("#own-channel").await?;
    ann.fill("push-target", &channel).await?;
    ann.fill("push-text", "only for bob's tab").await?;
    ann.fill("push-key", API_KEY).await?;
    ann.click("push-send").await?;
    ann.holds("document.getElementById('push-result').dataset.state === 'good'")
        .await?;
    bob.shows("#notify-list li", "only for bob's tab").await?;
    assert!(!ann.text("#notify-list").await?.contains("only for bob"));
    chromium.close().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_fits_a_phone_in_light_and_in_dark() -> Result<()> {
    let cluster = ClusterOptions::new().start().await?;
    within(LIMIT, "the look", look(&cluster)).await?
}

async fn look(cluster: &Cluster) -> Result<()> {
    let mut chromium = Chromium::start().await?;
    let tab = chromium.tab(&at(&cluster[0], "/")).await?;
    let background = "getComputedStyle(document.body).backgroundColor";
    let mut colours = Vec::new();
    for scheme in ["light", "dark"] {
        tab.emulate(scheme).await?;
        tab.holds(&format!(
            "matchMedia('(prefers-color-scheme: {scheme})').matches"
        ))
        .await?;
        colours.push(tab.evaluate(background).await?);
        tab.holds("innerWidth === 360 && document.documentElement.scrollWidth <= 360")
            .await?;
    }
    ensure!(
        colours.first() != colours.last(),
        "light and dark look the same: {colours:?}"
    );
    chromium.close().await
}

fn at(node: &Node, path: &str) -> String {
    format!("{}{path}", node.url())
}
