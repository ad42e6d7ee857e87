//! The demo page in a real browser: two tabs on two nodes.

use std::env;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, ensure};
use chromiumoxide::cdp::browser_protocol::emulation::{
    MediaFeature, SetDeviceMetricsOverrideParams,
};
use chromiumoxide::cdp::browser_protocol::log::{EventEntryAdded, LogEntryLevel};
use chromiumoxide::cdp::js_protocol::runtime::{
    ConsoleApiCalledType, EventConsoleApiCalled, EventExceptionThrown,
};
use chromiumoxide::{Browser, BrowserConfig, Page};
use fanfare_rig::{API_KEY, Cluster, ClusterOptions, Node, RedisServer, eventually, within};
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::SOON;

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
        .tab(&cluster[0], "/?room=lobby&name=ann&user=ann")
        .await?;
    let bob = chromium.tab(&cluster[1], "/?name=bob&user=bob").await?;

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
    let tab = chromium.tab(&cluster[0], "/").await?;
    let background = "getComputedStyle(document.body).backgroundColor";
    let mut colours = Vec::new();
    for scheme in ["light", "dark"] {
        tab.emulate(scheme).await?;
        tab.holds(&format!(
            "matchMedia('(prefers-color-scheme: {scheme})').matches"
        ))
        .await?;
        colours.push(
            tab.page
                .evaluate(background)
                .await?
                .into_value::<String>()?,
        );
        tab.holds("innerWidth === 360 && document.documentElement.scrollWidth <= 360")
            .await?;
    }
    ensure!(
        colours.first() != colours.last(),
        "light and dark look the same: {colours:?}"
    );
    chromium.close().await
}

/// What the browser complained about.
type Complaints = Arc<Mutex<Vec<String>>>;

struct Chromium {
    browser: Browser,
    events: JoinHandle<()>,
    complaints: Complaints,
    /// The profile; goes with the browser.
    _profile: TempDir,
}

struct Tab {
    page: Page,
}

impl Chromium {
    async fn start() -> Result<Self> {
        let profile = tempfile::tempdir()?;
        let config = BrowserConfig::builder()
            .chrome_executable(executable()?)
            .user_data_dir(profile.path())
            .new_headless_mode()
            .no_sandbox()
            .args([
                "disable-gpu",
                "disable-quic",
                "disable-component-update",
                "no-proxy-server",
            ])
            .build()
            .map_err(|reason| anyhow!(reason))?;
        let (browser, mut handler) = Browser::launch(config).await.context("starting Chromium")?;
        let events = tokio::spawn(async move { while handler.next().await.is_some() {} });
        Ok(Self {
            browser,
            events,
            complaints: Complaints::default(),
            _profile: profile,
        })
    }

    /// Opens a page of a node, listening to what the browser says about it from the beginning.
    async fn tab(&mut self, node: &Node, path: &str) -> Result<Tab> {
        let page = self.browser.new_page("about:blank").await?;
        let complaints = &self.complaints;
        let mut console = page.event_listener::<EventConsoleApiCalled>().await?;
        let mut thrown = page.event_listener::<EventExceptionThrown>().await?;
        let mut entries = page.event_listener::<EventEntryAdded>().await?;
        page.enable_log().await?;
        page.enable_runtime().await?;
        let note = note(complaints);
        tokio::spawn(async move {
            while let Some(event) = console.next().await {
                if matches!(
                    event.r#type,
                    ConsoleApiCalledType::Error | ConsoleApiCalledType::Warning
                ) {
                    note(format!("console: {:?}", event.args));
                }
            }
        });
        let note = self::note(complaints);
        tokio::spawn(async move {
            while let Some(event) = thrown.next().await {
                note(format!("exception: {:?}", event.exception_details));
            }
        });
        let note = self::note(complaints);
        tokio::spawn(async move {
            while let Some(event) = entries.next().await {
                if matches!(
                    event.entry.level,
                    LogEntryLevel::Error | LogEntryLevel::Warning
                ) {
                    note(format!("log: {:?}", event.entry));
                }
            }
        });
        page.goto(format!("{}{path}", node.url())).await?;
        Ok(Tab { page })
    }

    /// Ends the browser and insists that it had nothing to complain about.
    async fn close(mut self) -> Result<()> {
        self.browser.close().await?;
        self.browser.wait().await?;
        self.events.await?;
        let complaints = self
            .complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        ensure!(
            complaints.is_empty(),
            "the browser complained: {complaints:#?}"
        );
        Ok(())
    }
}

impl Tab {
    async fn fill(&self, id: &str, text: &str) -> Result<()> {
        // Only the tab in front takes input.
        self.page.bring_to_front().await?;
        let field = self.page.find_element(format!("#{id}")).await?;
        field.focus().await?;
        self.page
            .evaluate(format!("document.getElementById('{id}').select()"))
            .await?;
        field
            .type_str(text)
            .await
            .with_context(|| format!("typing into {id}"))?;
        Ok(())
    }

    async fn click(&self, id: &str) -> Result<()> {
        self.page.bring_to_front().await?;
        let button = self.page.find_element(format!("#{id}")).await?;
        button
            .click()
            .await
            .with_context(|| format!("clicking {id}"))?;
        Ok(())
    }

    async fn text(&self, selector: &str) -> Result<String> {
        let element = self.page.find_element(selector).await?;
        Ok(element.inner_text().await?.unwrap_or_default())
    }

    /// Waits until a JavaScript condition holds.
    async fn holds(&self, condition: &str) -> Result<()> {
        eventually(SOON, condition, async || {
            Ok(self
                .page
                .evaluate(condition)
                .await?
                .into_value::<bool>()?
                .then_some(()))
        })
        .await
    }

    /// Waits until an element that `selector` finds shows a text.
    async fn shows(&self, selector: &str, text: &str) -> Result<()> {
        let text = serde_json::to_string(text)?;
        let shown = format!(
            "[...document.querySelectorAll('{selector}')].some(e => e.textContent.includes({text}))"
        );
        self.holds(&shown).await
    }

    /// A phone's width, with a colour scheme.
    async fn emulate(&self, scheme: &str) -> Result<()> {
        let phone = SetDeviceMetricsOverrideParams::new(360, 740, 2.0, true);
        self.page.execute(phone).await?;
        let feature = MediaFeature::new("prefers-color-scheme", scheme);
        self.page.emulate_media_features(vec![feature]).await?;
        Ok(())
    }
}

fn note(complaints: &Complaints) -> impl Fn(String) + use<> {
    let complaints = Arc::clone(complaints);
    move |text| {
        complaints
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(text)
    }
}

fn executable() -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut found = env::split_paths(&path).flat_map(|directory| names.map(|n| directory.join(n)));
    found
        .find(|file| file.is_file())
        .context("chromium is missing: run `cargo xtask setup`")
}
