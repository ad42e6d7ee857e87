//! A real browser.

use std::env;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result, anyhow, ensure};
use chromiumoxide::cdp::browser_protocol::emulation::{
    MediaFeature, SetDeviceMetricsOverrideParams,
};
use chromiumoxide::cdp::browser_protocol::log::{EventEntryAdded, LogEntryLevel};
use chromiumoxide::cdp::js_protocol::runtime::{
    ConsoleApiCalledType, EventConsoleApiCalled, EventExceptionThrown,
};
use chromiumoxide::{Browser, BrowserConfig, Page};
use fanfare_rig::eventually;
use futures_util::StreamExt;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::support::SOON;

/// What the browser complained about.
type Complaints = Arc<Mutex<Vec<String>>>;

/// A headless Chromium with a profile of its own.
pub(crate) struct Chromium {
    browser: Browser,
    events: JoinHandle<()>,
    complaints: Complaints,
    /// The profile; goes with the browser.
    _profile: TempDir,
}

/// An open page.
pub(crate) struct Tab {
    page: Page,
}

impl Chromium {
    pub(crate) async fn start() -> Result<Self> {
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

    /// Opens a page, listening to what the browser says about it from the beginning.
    pub(crate) async fn tab(&mut self, url: &str) -> Result<Tab> {
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
        page.goto(url).await?;
        Ok(Tab { page })
    }

    /// Ends the browser and insists that it had nothing to complain about.
    pub(crate) async fn close(mut self) -> Result<()> {
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
    pub(crate) async fn fill(&self, id: &str, text: &str) -> Result<()> {
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

    pub(crate) async fn click(&self, id: &str) -> Result<()> {
        self.page.bring_to_front().await?;
        let button = self.page.find_element(format!("#{id}")).await?;
        button
            .click()
            .await
            .with_context(|| format!("clicking {id}"))?;
        Ok(())
    }

    pub(crate) async fn text(&self, selector: &str) -> Result<String> {
        let element = self.page.find_element(selector).await?;
        Ok(element.inner_text().await?.unwrap_or_default())
    }

    /// The value of a JavaScript expression that is text.
    pub(crate) async fn evaluate(&self, expression: &str) -> Result<String> {
        Ok(self.page.evaluate(expression).await?.into_value()?)
    }

    /// Waits until a JavaScript condition holds.
    pub(crate) async fn holds(&self, condition: &str) -> Result<()> {
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
    pub(crate) async fn shows(&self, selector: &str, text: &str) -> Result<()> {
        let text = serde_json::to_string(text)?;
        let shown = format!(
            "[...document.querySelectorAll('{selector}')].some(e => e.textContent.includes({text}))"
        );
        self.holds(&shown).await
    }

    /// A phone's width, with a colour scheme.
    pub(crate) async fn emulate(&self, scheme: &str) -> Result<()> {
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
