//! A client that writes down everything it gets.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::deadline::within;
use crate::socket::{Socket, code};

/// A text frame and when it came.
#[derive(Debug, Clone)]
pub struct Received {
    /// The text.
    pub text: String,
    /// When it was read from the socket.
    pub at: Instant,
}

#[derive(Debug, Default)]
struct Log {
    received: Vec<Received>,
    /// The close code once the connection has ended; 1006 without a close frame.
    closed: Option<(u16, Instant)>,
}

/// A socket that is read by a task of its own.
#[derive(Debug)]
pub struct Recorder {
    channel: String,
    opened: Instant,
    sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    log: Arc<Mutex<Log>>,
    count: watch::Receiver<usize>,
    reader: JoinHandle<()>,
}

impl Recorder {
    /// Starts to read `socket`.
    pub fn new(socket: Socket) -> Self {
        let opened = Instant::now();
        let (stream, channel) = socket.into_stream();
        let (sink, mut stream) = stream.split();
        let log = Arc::new(Mutex::new(Log::default()));
        let (counted, count) = watch::channel(0);
        let kept = Arc::clone(&log);
        let reader = tokio::spawn(async move {
            let closed = loop {
                match stream.next().await {
                    Some(Ok(Message::Text(text))) => {
                        let text = text.as_str().to_owned();
                        let received = Received {
                            text,
                            at: Instant::now(),
                        };
                        kept.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .received
                            .push(received);
                        counted.send_modify(|count| *count += 1);
                    }
                    Some(Ok(Message::Close(frame))) => break code(frame),
                    Some(Ok(_)) => {}
                    Some(Err(_)) | None => break 1006,
                }
            };
            let at = Instant::now();
            kept.lock().unwrap_or_else(PoisonError::into_inner).closed = Some((closed, at));
            // Reading on is what sends our own close frame.
            while matches!(stream.next().await, Some(Ok(_))) {}
        });
        Self {
            channel,
            opened,
            sink,
            log,
            count,
            reader,
        }
    }

    /// The channel of the session at the other end.
    pub fn channel(&self) -> &str {
        &self.channel
    }

    /// When it was open for certain.
    pub fn opened(&self) -> Instant {
        self.opened
    }

    /// Everything received so far.
    pub fn received(&self) -> Vec<Received> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .received
            .clone()
    }

    /// The texts received so far.
    pub fn texts(&self) -> Vec<String> {
        self.received()
            .into_iter()
            .map(|received| received.text)
            .collect()
    }

    /// How many texts have been received.
    pub fn count(&self) -> usize {
        *self.count.borrow()
    }

    /// The close code and when it came, once the connection has ended.
    pub fn closed(&self) -> Option<(u16, Instant)> {
        self.log
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .closed
    }

    /// Sends a text frame.
    ///
    /// # Errors
    /// When the connection is gone.
    pub async fn send_text(&mut self, text: &str) -> Result<()> {
        self.sink.send(Message::text(text)).await.context("sending")
    }

    /// Waits until `count` texts are there.
    ///
    /// # Errors
    /// When they are not within `limit`, or the connection ends before.
    pub async fn reaches(&self, count: usize, limit: Duration) -> Result<()> {
        let mut seen = self.count.clone();
        let what = format!("{count} texts on {}", self.channel);
        let reached = within(limit, &what, seen.wait_for(|seen| *seen >= count)).await;
        match reached {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => bail!(
                "{what}: closed after {} with {:?}",
                self.count(),
                self.closed()
            ),
            Err(error) => Err(error.context(format!("{} are there", self.count()))),
        }
    }

    /// Waits until a text is there that `wanted` accepts.
    ///
    /// # Errors
    /// When it is not within `limit`.
    pub async fn sees(&self, limit: Duration, wanted: impl Fn(&str) -> bool) -> Result<()> {
        let mut seen = self.count.clone();
        let what = format!("a certain text on {}", self.channel);
        let there = |_: &usize| self.texts().iter().any(|text| wanted(text));
        if within(limit, &what, seen.wait_for(there)).await?.is_err() {
            bail!(
                "{what}: closed after {} with {:?}",
                self.count(),
                self.closed()
            );
        }
        Ok(())
    }

    /// Sends a close frame, waits for the peer's, and gives what was received until then.
    ///
    /// # Errors
    /// When the peer does not close within `limit`.
    pub async fn leave(&mut self, limit: Duration) -> Result<Vec<Received>> {
        let frame = CloseFrame {
            code: 1000.into(),
            reason: "".into(),
        };
        self.sink
            .send(Message::Close(Some(frame)))
            .await
            .context("closing")?;
        self.ended(limit).await?;
        Ok(self.received())
    }

    /// Waits for the end of the connection, and gives the close code.
    ///
    /// # Errors
    /// When it has not ended within `limit`.
    pub async fn ended(&mut self, limit: Duration) -> Result<u16> {
        if !self.reader.is_finished() {
            within(
                limit,
                &format!("the end of {}", self.channel),
                &mut self.reader,
            )
            .await??;
        }
        Ok(self.closed().map_or(1006, |(code, _)| code))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.reader.abort();
    }
}
