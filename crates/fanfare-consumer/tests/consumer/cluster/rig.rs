//! MembershipMode and sessions to publish to.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Context, Handler};
use bytes::Bytes;
use fanfare_consumer::{ActorMember, Cluster};
use fanfare_node::{
    Admission, Arrived, Handling, Inbound, Link, SessionContext, Socket, Step, Ticket,
};
use fanfare_protocol::{GroupName, RouteEncoder};
use serde::{Deserialize, Serialize};
use tokio::io::AsyncReadExt as _;
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Long enough for a busy machine; nothing passes by running into it.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type")]
pub(super) enum News {
    #[serde(rename = "news.flash")]
    Flash { text: String },
}

pub(super) fn flash(text: &str) -> News {
    News::Flash {
        text: text.to_owned(),
    }
}

/// An actor that is in a cluster.
pub(super) struct Listener {
    pub(super) member: ActorMember,
    arrived: mpsc::Receiver<Arrived>,
}

struct Ear(mpsc::Sender<Arrived>);

impl Actor for Ear {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(4);
    }
}

impl Handler<Arrived> for Ear {
    type Result = ();

    fn handle(&mut self, arrived: Arrived, _: &mut Self::Context) {
        self.0.try_send(arrived).unwrap();
    }
}

impl Listener {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let (out, arrived) = mpsc::channel(100);
        let member = cluster.member(Ear(out).start().recipient()).unwrap();
        Self { member, arrived }
    }

    pub(super) async fn in_group(cluster: &Cluster, group: &str) -> Self {
        let listener = Self::of(cluster);
        listener.member.group_add(group).await.unwrap();
        listener
    }

    pub(super) async fn next(&mut self) -> Arrived {
        let next = timeout(PATIENCE, self.arrived.recv()).await;
        next.expect("nothing arrived").unwrap()
    }

    /// The text of the next flash.
    pub(super) async fn text(&mut self) -> String {
        let News::Flash { text } = self.next().await.to().unwrap();
        text
    }

    pub(super) fn has_nothing(&mut self) -> bool {
        self.arrived.try_recv().is_err()
    }
}

/// The client of a session that is in a cluster.
pub(super) struct Visitor {
    pub(super) channel: String,
    socket: UnixStream,
}

struct Silent;

impl Inbound for Silent {
    fn text(&self, _: &mut SessionContext<'_>, _: &str) -> Step {
        Step::Continue
    }

    fn binary(&self, _: &mut SessionContext<'_>, _: &[u8]) -> Step {
        Step::Continue
    }
}

impl Visitor {
    /// A session on this thread, in these groups.
    pub(super) async fn open(cluster: &Cluster, groups: &[GroupName]) -> Self {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let admission = Admission {
            link: Link::of(&theirs),
            client: None,
            encoder: Arc::new(RouteEncoder::default()),
            handling: Handling::Inbound(Rc::new(Silent)),
            groups: groups.to_vec(),
            identity: None,
            welcome: false,
            access: None,
        };
        let worker = cluster.node().worker();
        let ticket = Ticket::admit(&worker, admission).await.unwrap();
        let channel = ticket.channel().as_str().to_owned();
        ticket.open(Socket::Unix(theirs), Bytes::new(), Bytes::new());
        Self {
            channel,
            socket: ours,
        }
    }

    /// The payload of the text frame that comes next.
    pub(super) async fn text(&mut self) -> String {
        let payload = timeout(PATIENCE, self.frame(0x81)).await;
        String::from_utf8(payload.expect("no text frame")).unwrap()
    }

    /// Code and reason of the close frame that comes next.
    pub(super) async fn closed(mut self) -> (u16, String) {
        let payload = timeout(PATIENCE, self.frame(0x88)).await;
        let mut code = payload.expect("no close frame");
        let reason = String::from_utf8(code.split_off(2)).unwrap();
        (u16::from_be_bytes([code[0], code[1]]), reason)
    }

    /// The payload of a short frame that begins like this.
    async fn frame(&mut self, first: u8) -> Vec<u8> {
        let mut head = [0; 2];
        self.socket.read_exact(&mut head).await.unwrap();
        assert_eq!(head[0], first, "another frame");
        let mut payload = vec![0; usize::from(head[1])];
        self.socket.read_exact(&mut payload).await.unwrap();
        payload
    }

    /// Whether nothing has been written to the client.
    pub(super) fn has_nothing(&self) -> bool {
        let kind = self.socket.try_read(&mut [0; 1]).unwrap_err().kind();
        kind == std::io::ErrorKind::WouldBlock
    }
}
