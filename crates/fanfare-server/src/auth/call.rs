//! One request to the application, within its time.

use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderMap;
use http::{Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::{Instant, timeout_at};

use super::answer::{self, Verdict};
use super::socket::SocketConnector;
use super::throttles::Throttles;
use super::turns::Turns;
use super::{Outcome, Question, Unavailable, tls};
use crate::config::settings::Auth;
use crate::metrics::{AuthMetrics, AuthOutcome};

/// A body larger than this is no answer, in bytes.
const LARGEST_BODY: usize = 64 * 1024;
/// How long an unused connection is kept: less than the two seconds after which the shortest of
/// the usual application servers close it, because a request that crosses the close is lost.
const IDLE: Duration = Duration::from_secs(1);

/// The way to the application. Follows no redirects and uses no proxy of the environment.
pub(super) struct Asker {
    client: Way,
    url: Uri,
    /// For a question as a whole.
    timeout: Duration,
    /// As many as there may be requests at once.
    turns: Turns,
    metrics: AuthMetrics,
    throttles: Throttles,
}

/// How the application is reached.
enum Way {
    Network(Client<HttpsConnector<HttpConnector>, Empty<Bytes>>),
    Socket(Client<SocketConnector, Empty<Bytes>>),
}

/// Why there is no decision: what is counted, and what is logged.
struct Failure {
    outcome: AuthOutcome,
    what: String,
}

/// Counts a question however it ends.
struct Tally<'m> {
    metrics: &'m AuthMetrics,
    started: Instant,
    outcome: AuthOutcome,
}

impl Asker {
    pub(super) fn new(settings: &Auth, metrics: AuthMetrics) -> anyhow::Result<Self> {
        Ok(Self {
            client: Way::new(settings)?,
            url: settings.url.clone(),
            timeout: settings.timeout,
            turns: Turns::new(settings.concurrency),
            metrics,
            throttles: Throttles::default(),
        })
    }

    /// Asks, logs and counts.
    pub(super) async fn ask(&self, question: &Question) -> Outcome {
        let mut tally = Tally {
            metrics: &self.metrics,
            started: Instant::now(),
            outcome: AuthOutcome::Abandoned,
        };
        match self.decide(question, tally.started).await {
            Ok(verdict) => {
                tally.outcome = match verdict {
                    Verdict::Accepted(_) => AuthOutcome::Accepted,
                    Verdict::Refused(_) => AuthOutcome::Refused,
                };
                Ok(verdict)
            }
            Err(failure) => {
                tally.outcome = failure.outcome;
                self.throttles.log(failure.outcome, &failure.what);
                Err(Unavailable)
            }
        }
    }

    async fn decide(&self, question: &Question, started: Instant) -> Result<Verdict, Failure> {
        // Who gets a turn has at least half of the time left: with less, an application that is
        // slow would be asked for answers that nobody waits for any more.
        let turn = self.turns.take(question.asking());
        let Ok(_turn) = timeout_at(started + self.timeout / 2, turn).await else {
            let what = "auth.concurrency requests were running all the time";
            return Err(Failure::new(AuthOutcome::Busy, what));
        };
        match timeout_at(started + self.timeout, self.request(question)).await {
            Ok(answered) => answered,
            Err(_elapsed) => {
                let what = format!("not within {} ms", self.timeout.as_millis());
                Err(Failure::new(AuthOutcome::Timeout, what))
            }
        }
    }

    async fn request(&self, question: &Question) -> Result<Verdict, Failure> {
        let response = match self.send(question).await {
            // An application server may close a connection just as it is used again.
            Err(error) if !error.is_connect() => self.send(question).await,
            other => other,
        };
        let response = response.map_err(|error| {
            let unreachable = root_cause(&error);
            Failure::new(AuthOutcome::Unreachable, unreachable)
        })?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, LARGEST_BODY).collect().await;
        let body = body.map_err(|error| {
            if error.is::<LengthLimitError>() {
                let what = format!("a body of more than {LARGEST_BODY} bytes");
                Failure::new(AuthOutcome::BadAnswer, what)
            } else {
                let what = format!("the body broke off: {}", root_cause(&*error));
                Failure::new(AuthOutcome::Unreachable, what)
            }
        })?;
        let verdict = answer::read(head.status, &head.headers, &body.to_bytes())
            .map_err(|what| Failure::new(AuthOutcome::BadAnswer, what))?;
        if matches!(verdict, Verdict::Refused(_)) {
            log_refusal(head.status, &head.headers, question.path());
        }
        Ok(verdict)
    }

    async fn send(
        &self,
        question: &Question,
    ) -> Result<Response<hyper::body::Incoming>, hyper_util::client::legacy::Error> {
        let mut request = Request::new(Empty::new());
        request.uri_mut().clone_from(&self.url);
        request.headers_mut().clone_from(question.headers());
        match &self.client {
            Way::Network(client) => client.request(request).await,
            Way::Socket(client) => client.request(request).await,
        }
    }
}

impl Way {
    fn new(settings: &Auth) -> anyhow::Result<Self> {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(settings.concurrency)
            .pool_timer(TokioTimer::new());
        if let Some(path) = &settings.socket {
            return Ok(Self::Socket(builder.build(SocketConnector::new(path))));
        }
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::client(settings)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        Ok(Self::Network(builder.build(connector)))
    }
}

/// A redirect gets a line: that one refuses is not what everybody expects.
fn log_refusal(status: StatusCode, headers: &HeaderMap, path: &str) {
    let status = status.as_u16();
    if status < 400 {
        let target = answer::target(headers);
        tracing::info!(
            path,
            status,
            target,
            "refused a websocket because auth.url redirects it"
        );
    } else {
        tracing::debug!(path, status, "refused a websocket because auth.url does");
    }
}

/// The innermost error: those around it say that a request failed, in several ways.
fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}

impl Failure {
    fn new(outcome: AuthOutcome, what: impl Into<String>) -> Self {
        let what = what.into();
        Self { outcome, what }
    }
}

impl Drop for Tally<'_> {
    fn drop(&mut self) {
        self.metrics.asked(self.outcome, self.started.elapsed());
    }
}
