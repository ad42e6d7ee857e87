//! A node with a memory layer on this thread, and clients on socket pairs.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fanfare_layer::{ChannelLayer, LayerMetrics, MemoryLayer, Publish};
use fanfare_node::{
    Admission, AdmitError, Handling, Inbound, Limits, Link, Node, NodeOptions, PingOptions,
    SessionContext, Socket, Step, Ticket,
};
use fanfare_protocol::{
    DeliverTable, Encoder, Envelope, Event, GroupName, NodeId, RouteEncoder, Target,
};
use prometheus::Registry;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

/// How long anything may take before a test fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) struct Rig {
    pub(crate) node: Node,
    pub(crate) registry: Registry,
    encoder: Arc<dyn Encoder>,
    /// The address of those who open sessions from now on.
    pub(crate) client: Option<IpAddr>,
}

pub(crate) fn options() -> NodeOptions {
    NodeOptions {
        limits: Limits {
            message_bytes: 1 << 16,
            frame_bytes: 1 << 16,
            outbox_bytes: 1 << 16,
            inbox_frames: 64,
            groups_per_session: 10,
            ..Limits::default()
        },
        ping: PingOptions::OFF,
        join_timeout: Duration::from_secs(1),
        close_timeout: Duration::from_millis(500),
        linger: Duration::from_millis(10),
        ..NodeOptions::new(NodeId::random().unwrap())
    }
}

/// Publishes text to the session's first group, panics on `panic`, echoes binary.
pub(crate) struct Chat;

impl Inbound for Chat {
    fn text(&self, session: &mut SessionContext<'_>, text: &str) -> Step {
        assert_ne!(text, "panic", "asked for");
        let group = session.groups()[0].clone();
        Step::Publishing(session.publish(Target::Group(group), envelope(text)))
    }

    fn binary(&self, session: &mut SessionContext<'_>, bytes: &[u8]) -> Step {
        session.send_binary(bytes);
        Step::Continue
    }
}

pub(crate) fn envelope(text: &str) -> Arc<Envelope> {
    Arc::new(Envelope::new(
        Event::new("chat.message").with("message", text),
    ))
}

pub(crate) fn group(name: &str) -> GroupName {
    GroupName::parse(name).unwrap()
}

impl Rig {
    pub(crate) fn new(options: NodeOptions) -> Self {
        Self::over(options, |memory| Arc::new(memory))
    }

    /// With a layer of the test's in front of the memory layer.
    pub(crate) fn over(
        options: NodeOptions,
        layer: impl FnOnce(MemoryLayer) -> Arc<dyn ChannelLayer>,
    ) -> Self {
        let registry = Registry::new();
        let metrics = LayerMetrics::new(&registry).unwrap();
        let id = options.id;
        let node = Node::new(options, &registry, |sink| {
            layer(MemoryLayer::new(id, sink, metrics))
        })
        .unwrap();
        let send = [("chat.message".to_owned(), "message".to_owned())].into();
        let encoder = Arc::new(RouteEncoder(DeliverTable {
            send,
            deliver_unknown: true,
        }));
        Self {
            node,
            registry,
            encoder,
            client: None,
        }
    }

    pub(crate) async fn open(&self, groups: &[&str]) -> Result<Client, AdmitError> {
        self.open_as(groups, Handling::Inbound(Rc::new(Chat)), |_| {})
            .await
    }

    /// Opens a session of another handling; `prepare` sees its ticket before.
    pub(crate) async fn open_as(
        &self,
        groups: &[&str],
        handling: Handling,
        prepare: impl FnOnce(&mut Ticket),
    ) -> Result<Client, AdmitError> {
        let (server, client) = UnixStream::pair().unwrap();
        let mut ticket = self.admit_as(&server, groups, handling).await?;
        prepare(&mut ticket);
        let channel = ticket.channel().as_str().to_owned();
        ticket.open(
            Socket::Unix(server),
            Bytes::from_static(b"HEAD"),
            Bytes::new(),
        );
        let mut client = Client::on(client);
        client.channel = channel;
        client.expect_head().await;
        Ok(client)
    }

    pub(crate) async fn admit(
        &self,
        socket: &UnixStream,
        groups: &[&str],
    ) -> Result<Ticket, AdmitError> {
        self.admit_as(socket, groups, Handling::Inbound(Rc::new(Chat)))
            .await
    }

    pub(crate) async fn admit_as(
        &self,
        socket: &impl AsFd,
        groups: &[&str],
        handling: Handling,
    ) -> Result<Ticket, AdmitError> {
        let admission = Admission {
            link: Link::of(socket),
            client: self.client,
            encoder: Arc::clone(&self.encoder),
            handling,
            groups: groups.iter().map(|name| group(name)).collect(),
            identity: None,
            welcome: false,
            access: None,
        };
        Ticket::admit(&self.node.worker(), admission).await
    }

    pub(crate) async fn publish(&self, target: Target, text: &str) {
        match self.node.publish(target, envelope(text)) {
            Publish::Done(done) => done.unwrap(),
            other => other.confirmed().await.unwrap(),
        }
    }

    /// A counter's value, summed over labels that contain `label`.
    pub(crate) fn count(&self, name: &str, label: &str) -> f64 {
        let families = self.registry.gather();
        let family = families.iter().find(|family| family.name() == name);
        let metrics = family.map_or(&[][..], |family| family.get_metric());
        metrics
            .iter()
            .filter(|metric| {
                label.is_empty() || metric.get_label().iter().any(|pair| pair.value() == label)
            })
            .map(|metric| metric.get_counter().get_value() + metric.get_gauge().get_value())
            .sum()
    }

    /// Waits until a counter has reached a value.
    pub(crate) async fn until(&self, name: &str, label: &str, value: f64) {
        let reached = async {
            while self.count(name, label) < value {
                tokio::task::yield_now().await;
            }
        };
        let seen = || self.count(name, label);
        tokio::time::timeout(PATIENCE, reached)
            .await
            .unwrap_or_else(|_| panic!("{name} {label} is {} and not {value}", seen()));
    }
}

pub(crate) struct Client {
    socket: UnixStream,
    pub(crate) channel: String,
    queue: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Text(String),
    Binary(Vec<u8>),
    Ping,
    Pong(Vec<u8>),
    Close(u16),
    End,
}

impl Client {
    pub(crate) fn on(socket: UnixStream) -> Self {
        Self {
            socket,
            channel: String::new(),
            queue: Vec::new(),
        }
    }

    /// Its socket, to be written to from anywhere.
    pub(crate) fn into_std(self) -> std::os::unix::net::UnixStream {
        self.socket.into_std().unwrap()
    }

    pub(crate) async fn expect_head(&mut self) {
        self.fill(4).await;
        assert_eq!(self.queue.drain(..4).as_slice(), b"HEAD");
    }

    pub(crate) async fn send(&mut self, opcode: u8, payload: &[u8]) {
        assert!(self.try_send(opcode, payload).await, "the peer has gone");
    }

    /// Whether the peer was there to take it.
    pub(crate) async fn try_send(&mut self, opcode: u8, payload: &[u8]) -> bool {
        self.socket
            .write_all(&masked(opcode, payload))
            .await
            .is_ok()
    }

    /// Sends many messages with one write.
    pub(crate) async fn texts(&mut self, texts: impl IntoIterator<Item = String>) {
        let frames = texts.into_iter().map(|text| masked(1, text.as_bytes()));
        let frames = frames.collect::<Vec<_>>().concat();
        self.socket.write_all(&frames).await.unwrap();
    }

    /// Writes bytes as they are.
    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        self.socket.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn text(&mut self, text: &str) {
        self.send(1, text.as_bytes()).await;
    }
    /// Answers whether there are that many bytes before the end.
    async fn fill(&mut self, len: usize) -> bool {
        while self.queue.len() < len {
            let mut buffer = [0; 4096];
            let read = tokio::time::timeout(PATIENCE, self.socket.read(&mut buffer));
            match read.await.expect("nothing came") {
                Ok(0) | Err(_) => return false,
                Ok(read) => self.queue.extend(&buffer[..read]),
            }
        }
        true
    }

    pub(crate) async fn frame(&mut self) -> Frame {
        if !self.fill(2).await {
            return Frame::End;
        }
        let (opcode, mut len, mut head) = (self.queue[0] & 15, usize::from(self.queue[1]), 2);
        if len == 126 {
            assert!(self.fill(4).await);
            len = usize::from(u16::from_be_bytes([self.queue[2], self.queue[3]]));
            head = 4;
        }
        assert!(self.fill(head + len).await, "a cut frame");
        let payload: Vec<u8> = self.queue.drain(..head + len).skip(head).collect();
        match opcode {
            1 => Frame::Text(String::from_utf8(payload).unwrap()),
            2 => Frame::Binary(payload),
            8 => Frame::Close(
                payload
                    .get(..2)
                    .map_or(1005, |code| u16::from_be_bytes([code[0], code[1]])),
            ),
            9 => Frame::Ping,
            10 => Frame::Pong(payload),
            other => panic!("opcode {other}"),
        }
    }

    pub(crate) async fn expect_text(&mut self, text: &str) {
        assert_eq!(self.frame().await, Frame::Text(text.to_owned()));
    }
}

/// One frame as a client sends it.
pub(crate) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut frame = vec![0x80 | opcode];
    match payload.len() {
        len @ 0..126 => frame.push(0x80 | u8::try_from(len).unwrap()),
        len => {
            frame.push(0x80 | 126);
            frame.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
    }
    frame.extend(mask);
    let bytes = payload.iter().zip(mask.iter().cycle());
    frame.extend(bytes.map(|(byte, mask)| byte ^ mask));
    frame
}
