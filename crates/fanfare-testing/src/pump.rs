//! A task that reads for a client while its test does something else. It answers pings and the
//! closing handshake, and stores messages until the test asks for them.

use std::rc::Rc;

use bytes::BytesMut;
use fanfare_protocol::CloseCode;
use fanfare_protocol::frame::Opcode;
use tokio::io::{
    AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadHalf, WriteHalf,
};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;

use crate::codec::{self, Received};
use crate::message::{Closed, Message};

/// Messages that are read ahead; with so many waiting the client does not read.
const AHEAD: usize = 1024;

/// What a client talks over.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl<T: AsyncRead + AsyncWrite + Unpin> Stream for T {}

/// The writing side, shared by the test and the pump.
#[derive(Clone)]
pub(crate) struct Writer(Rc<Mutex<WriteHalf<Box<dyn Stream>>>>);

/// The reading side.
pub(crate) struct Pump {
    pub(crate) messages: mpsc::Receiver<Message>,
    task: JoinHandle<()>,
}

struct Reader {
    socket: ReadHalf<Box<dyn Stream>>,
    read: BytesMut,
    writer: Writer,
    messages: mpsc::Sender<Message>,
}

/// Both sides of a client's socket; `read` came in behind the response head.
pub(crate) fn start(socket: Box<dyn Stream>, read: BytesMut) -> (Writer, Pump) {
    let (socket, writer) = tokio::io::split(socket);
    let writer = Writer(Rc::new(Mutex::new(writer)));
    let (sender, messages) = mpsc::channel(AHEAD);
    let reader = Reader {
        socket,
        read,
        writer: writer.clone(),
        messages: sender,
    };
    let task = actix_rt::spawn(reader.run());
    (writer, Pump { messages, task })
}

impl Writer {
    /// Sends a frame; false when the server has gone.
    pub(crate) async fn send(&self, opcode: Opcode, payload: &[u8]) -> bool {
        self.send_raw(&codec::masked(opcode, payload)).await
    }

    /// Sends bytes as they are; false when the server has gone.
    pub(crate) async fn send_raw(&self, bytes: &[u8]) -> bool {
        self.0.lock().await.write_all(bytes).await.is_ok()
    }

    async fn end(&self) {
        // The server may have closed the socket already.
        let _gone = self.0.lock().await.shutdown().await;
    }
}

impl Pump {
    /// From now on nothing is read.
    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

impl Drop for Pump {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Reader {
    async fn run(mut self) {
        let closed = self.read_all().await;
        self.writer.end().await;
        // Nobody is interested any more: the test has dropped its client.
        let _dropped = self.messages.send(Message::Closed(closed)).await;
    }

    /// Hands messages over until the connection ends; answers how the server closed it.
    async fn read_all(&mut self) -> Closed {
        let mut closed = None;
        loop {
            while let Some(frame) = codec::take(&mut self.read) {
                if let Some(close) = self.handle(frame).await {
                    closed = Some(close);
                }
            }
            if !self.read_more().await {
                return closed.unwrap_or_else(Closed::lost);
            }
        }
    }

    async fn handle(&mut self, frame: Received) -> Option<Closed> {
        let Received { opcode, payload } = frame;
        let message = match opcode {
            0x1 => Message::Text(String::from_utf8_lossy(&payload).into_owned()),
            0x2 => Message::Binary(payload),
            0x8 => {
                let (code, reason) = codec::read_close(&payload);
                let answer = codec::close_payload(code, "");
                self.writer.send(Opcode::Close, &answer).await;
                return Some(Closed { code, reason });
            }
            0x9 => {
                self.writer.send(Opcode::Pong, &payload).await;
                return None;
            }
            0xA => return None,
            other => {
                let reason = format!("the server sent a frame with opcode {other}");
                let code = CloseCode::PROTOCOL;
                return Some(Closed { code, reason });
            }
        };
        // The test may have dropped its client.
        let _dropped = self.messages.send(message).await;
        None
    }

    /// Whether there was more before the end of the stream.
    async fn read_more(&mut self) -> bool {
        matches!(self.socket.read_buf(&mut self.read).await, Ok(1..))
    }
}
