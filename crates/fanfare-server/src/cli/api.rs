//! The HTTP API as a command uses it.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use fanfare_gateway::Bind;
use reqwest::{RequestBuilder, StatusCode};
use serde_json::Value;

use super::{Exit, Failed};
use crate::config::{self, Settings};
use crate::shown::Cut;

/// How long the server has to answer.
const TIMEOUT: Duration = Duration::from_secs(5);

/// One server and the key to its API.
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: Option<String>,
}

/// Where a server is.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Tcp(String),
    Unix(PathBuf),
}

impl Client {
    /// A client of the server at `url`, or of the configured one.
    pub(super) fn new(
        settings: &Settings,
        url: Option<&str>,
        key: Option<&str>,
    ) -> Result<Self, Failed> {
        let place = match url {
            Some(url) => place_of_url(url),
            None => place_of_bind(settings.http.bind.first()),
        };
        let builder = reqwest::Client::builder().timeout(TIMEOUT).no_proxy();
        let (builder, base) = match place.map_err(Failed::usage)? {
            Place::Tcp(base) => (builder, base),
            Place::Unix(path) => (builder.unix_socket(path), "http://localhost".to_owned()),
        };
        let http = builder.build().context("making an HTTP client")?;
        let key = key
            .map(str::to_owned)
            .or_else(|| settings.api.keys.first().cloned());
        Ok(Self { http, base, key })
    }

    /// What the server answers, whatever it is.
    pub(super) async fn get(&self, path: &str) -> Result<(StatusCode, String), Failed> {
        self.send(self.http.get(format!("{}{path}", self.base)))
            .await
    }

    /// The JSON that the server answers.
    pub(super) async fn get_json(&self, path: &str) -> Result<Value, Failed> {
        let (status, body) = self.get(path).await?;
        if !status.is_success() {
            return Err(refused(status, &body));
        }
        Ok(serde_json::from_str(&body).context("the answer of the server is not JSON")?)
    }

    /// Posts JSON text; the server must take it.
    pub(super) async fn post(
        &self,
        path: &str,
        query: &[(&str, &str)],
        json: String,
    ) -> Result<(), Failed> {
        let mut url = url::Url::parse(&format!("{}{path}", self.base)).map_err(Failed::usage)?;
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self
            .http
            .post(url)
            .header("content-type", "application/json")
            .body(json);
        match self.send(request).await? {
            (status, _) if status.is_success() => Ok(()),
            (status, body) => Err(refused(status, &body)),
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<(StatusCode, String), Failed> {
        let request = match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        };
        let silent = |error: reqwest::Error| {
            // The outer errors say "error sending request" in three ways.
            let error = anyhow::Error::new(error.without_url());
            let why = error.root_cause();
            let base = config::masked_url(&self.base, &[]);
            Failed::unavailable(format_args!("no answer from {base}: {why}"))
        };
        let response = request.send().await.map_err(silent)?;
        let status = response.status();
        Ok((status, response.text().await.map_err(silent)?))
    }
}

/// What the server says about a request that it did not take.
fn refused(status: StatusCode, body: &str) -> Failed {
    let error = serde_json::from_str::<Value>(body).ok();
    let message = error
        .as_ref()
        .and_then(|body| body.pointer("/error/message")?.as_str());
    let exit = match status.as_u16() {
        400 | 413 => Exit::Usage,
        502..=504 => Exit::Unavailable,
        _ => Exit::Failure,
    };
    let hint = if status == StatusCode::UNAUTHORIZED {
        " (give --key, or set api.keys)"
    } else {
        ""
    };
    Failed::new(
        exit,
        format_args!("{status}: {}{hint}", Cut(message.unwrap_or(body.trim()))),
    )
}

fn place_of_url(text: &str) -> Result<Place, String> {
    if let Some(path) = text.strip_prefix("unix:") {
        return Ok(Place::Unix(PathBuf::from(path)));
    }
    match url::Url::parse(text) {
        Ok(url) if url.scheme() == "http" && url.has_host() => {
            Ok(Place::Tcp(text.trim_end_matches('/').to_owned()))
        }
        _ => Err(format!(
            "--url {}: expected http://HOST:PORT or unix:/path",
            config::masked_url(text, &[])
        )),
    }
}

/// Where to reach what listens here.
fn place_of_bind(bind: Option<&Bind>) -> Result<Place, String> {
    match bind {
        Some(Bind::Tcp(address)) if address.port() == 0 => {
            Err("http.bind has port 0, so the port is not known: give the address of the server with --url".to_owned())
        }
        Some(Bind::Tcp(address)) => Ok(Place::Tcp(format!(
            "http://{}",
            config::reachable(*address)
        ))),
        Some(Bind::Unix(path)) => Ok(Place::Unix(path.clone())),
        None => Err("http.bind has no address: give one with --url".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_listens_everywhere_is_reached_at_the_loopback_address() {
        let place = |text: &str| place_of_bind(Some(&Bind::Tcp(text.parse().expect(text))));
        assert_eq!(
            place("0.0.0.0:80"),
            Ok(Place::Tcp("http://127.0.0.1:80".to_owned()))
        );
        assert_eq!(
            place("[::]:80"),
            Ok(Place::Tcp("http://[::1]:80".to_owned()))
        );
        assert_eq!(
            place("10.0.0.1:80"),
            Ok(Place::Tcp("http://10.0.0.1:80".to_owned()))
        );
        assert!(place("127.0.0.1:0").is_err());
    }

    #[test]
    fn a_url_is_http_or_a_socket() {
        assert_eq!(
            place_of_url("http://h:1/"),
            Ok(Place::Tcp("http://h:1".to_owned()))
        );
        assert_eq!(
            place_of_url("unix:/s"),
            Ok(Place::Unix(PathBuf::from("/s")))
        );
        assert!(place_of_url("https://h").is_err());
        assert!(place_of_url("h:1").is_err());
    }
}
