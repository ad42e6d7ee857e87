//! The HTTP side of a node.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);

/// An HTTP answer, read to its end.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// Header names in lower case, with values.
    pub headers: Vec<(String, String)>,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// Reads a response to its end.
    pub(crate) async fn read(response: Response) -> Result<Self> {
        let status = response.status().as_u16();
        let text = |value: &reqwest::header::HeaderValue| {
            String::from_utf8_lossy(value.as_bytes()).into_owned()
        };
        let headers = response.headers().iter();
        let headers = headers
            .map(|(name, value)| (name.to_string(), text(value)))
            .collect();
        Ok(Self {
            status,
            headers,
            body: response.text().await?,
        })
    }

    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self
            .headers
            .iter()
            .filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }

    /// The body as JSON.
    ///
    /// # Errors
    /// When it is none.
    pub fn json(&self) -> Result<Value> {
        serde_json::from_str(&self.body).with_context(|| format!("JSON expected: {self:?}"))
    }

    /// `error.code` of an error answer, or the empty string.
    pub fn error_code(&self) -> String {
        let body = self.json().unwrap_or_default();
        body.pointer("/error/code")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    }
}

/// A client of one node's HTTP surface.
#[derive(Debug, Clone)]
pub struct Api {
    client: Client,
    base: String,
    key: String,
}

/// A name as one segment of a path.
pub fn path_segment(name: &str) -> String {
    percent_encoding::utf8_percent_encode(name, percent_encoding::NON_ALPHANUMERIC).to_string()
}

impl Api {
    /// A client for `base` (`http://host:port`) that authenticates with `key`.
    ///
    /// # Errors
    /// When no client can be built.
    pub fn new(base: &str, key: &str) -> Result<Self> {
        let client = Client::builder().timeout(LIMIT).no_proxy().build()?;
        Ok(Self {
            client,
            base: base.to_owned(),
            key: key.to_owned(),
        })
    }

    /// GET with the key.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get(&self, path: &str) -> Result<Answer> {
        self.send(self.request(Method::GET, path)).await
    }

    /// POST of a JSON value with the key.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        self.post_text(path, body.to_string()).await
    }

    /// POST of any text as `application/json` with the key.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post_text(&self, path: &str, body: String) -> Result<Answer> {
        let request = self.request(Method::POST, path);
        self.send(
            request
                .header("content-type", "application/json")
                .body(body),
        )
        .await
    }

    /// Publishes through `/api/v1{path}` and insists on 202.
    ///
    /// # Errors
    /// When the answer is anything else.
    pub async fn publish(&self, path: &str, event: &Value) -> Result<()> {
        let answer = self.post(&format!("/api/v1{path}"), event).await?;
        if answer.status != 202 {
            bail!("publishing to {path}: {answer:?}");
        }
        Ok(())
    }

    /// Publishes to a group.
    ///
    /// # Errors
    /// As [`Api::publish`].
    pub async fn publish_group(&self, group: &str, event: &Value) -> Result<()> {
        self.publish(&format!("/groups/{}/events", path_segment(group)), event)
            .await
    }

    /// Publishes to one channel.
    ///
    /// # Errors
    /// As [`Api::publish`].
    pub async fn publish_channel(&self, channel: &str, event: &Value) -> Result<()> {
        self.publish(&format!("/channels/{channel}/events"), event)
            .await
    }

    /// The status of a path, or none when nothing answers.
    pub async fn status(&self, path: &str) -> Option<u16> {
        self.get(path).await.ok().map(|answer| answer.status)
    }

    /// A request to `path` with the key, for what the other methods do not cover.
    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.base))
            .bearer_auth(&self.key)
    }

    /// A request without the key.
    pub fn anonymous(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    /// Sends a request and reads the answer to its end.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn send(&self, request: RequestBuilder) -> Result<Answer> {
        let response = request
            .send()
            .await
            .with_context(|| format!("asking {}", self.base))?;
        Answer::read(response).await
    }
}
