//! Somebody with a browser's manners: cookies are kept, forms carry the token of Django.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::header::{CONTENT_TYPE, COOKIE, ORIGIN};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Url};

use crate::http::Answer;
use crate::socket::{Socket, SocketOptions};

const LIMIT: Duration = Duration::from_secs(30);

/// A visitor of the sample's pages at one origin.
#[derive(Debug, Clone)]
pub struct Visitor {
    client: Client,
    origin: SocketAddr,
    cookies: BTreeMap<String, String>,
}

impl Visitor {
    /// Somebody without cookies, at the site that listens there.
    ///
    /// # Errors
    /// When no client can be built.
    pub fn new(origin: SocketAddr) -> Result<Self> {
        let client = Client::builder()
            .timeout(LIMIT)
            .no_proxy()
            .redirect(Policy::none())
            .build()?;
        Ok(Self {
            client,
            origin,
            cookies: BTreeMap::new(),
        })
    }

    /// Logs in with the form of the sample.
    ///
    /// # Errors
    /// When Django does not take it.
    pub async fn login(&mut self, name: &str) -> Result<()> {
        self.get("/login/").await?;
        let password = format!("password of {name}");
        let fields = [("username", name), ("password", &password)];
        let answer = self.post("/login/", &fields).await?;
        if answer.status != 302 || !self.cookies.contains_key("sessionid") {
            bail!("the login of {name}: {answer:?}");
        }
        Ok(())
    }

    /// GET of a page.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn get(&mut self, path: &str) -> Result<Answer> {
        let request = self.request(Method::GET, path);
        self.send(request).await
    }

    /// POST of a form, with the token against forged requests.
    ///
    /// # Errors
    /// When no answer comes.
    pub async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Result<Answer> {
        let body = Url::parse_with_params("form:", fields)?;
        let token = self.cookies.get("csrftoken").cloned().unwrap_or_default();
        let request = self
            .request(Method::POST, path)
            .header(ORIGIN, self.origin())
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("x-csrftoken", token)
            .body(body.query().unwrap_or_default().to_owned());
        self.send(request).await
    }

    /// Opens a WebSocket of a page of this site: at the site itself, or at another address beside
    /// it, with the site's cookies and as its origin.
    ///
    /// # Errors
    /// When the handshake fails; the text has the status.
    pub async fn open(&self, address: SocketAddr, path: &str) -> Result<Socket> {
        let headers = [("cookie", self.cookie()), ("origin", self.origin())];
        let options = SocketOptions {
            headers: headers.map(|(name, value)| (name.to_owned(), value)).into(),
            ..SocketOptions::default()
        };
        Socket::connect(address, path, &options).await
    }

    /// Its cookies, as a request carries them.
    pub fn cookie(&self) -> String {
        let pairs = self.cookies.iter();
        let pairs: Vec<String> = pairs
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        pairs.join("; ")
    }

    fn origin(&self) -> String {
        format!("http://{}", self.origin)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client
            .request(method, format!("{}{path}", self.origin()))
            .header(COOKIE, self.cookie())
    }

    async fn send(&mut self, request: RequestBuilder) -> Result<Answer> {
        let answer = Answer::read(request.send().await.context("asking the site")?).await?;
        for (name, value) in &answer.headers {
            let pair = value
                .split(';')
                .next()
                .and_then(|pair| pair.split_once('='));
            if let Some((key, value)) = pair.filter(|_| name == "set-cookie") {
                self.keep(key, value);
            }
        }
        Ok(answer)
    }

    /// An empty value is how Django takes a cookie back.
    fn keep(&mut self, name: &str, value: &str) {
        if matches!(value, "" | "\"\"") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}
