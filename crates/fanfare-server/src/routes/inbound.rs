//! What configured routes do with what their clients send.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use bytestring::ByteString;
use fanfare_layer::{Publish, PublishError};
use fanfare_node::{Inbound, Node, SessionContext, Step};
use fanfare_protocol::{CloseCode, Envelope, Event, GroupName, SerializeError, Target, Value};

use crate::config::settings::{OnReceive, RouteSettings};

/// The behaviour that a route asks for, for its sessions of one worker thread.
pub(crate) fn behaviour(route: &RouteSettings, node: &Node) -> Rc<dyn Inbound> {
    match route.on_receive {
        OnReceive::Echo => Rc::new(Echo),
        OnReceive::Ignore => Rc::new(Ignore),
        OnReceive::Reply => Rc::new(Reply(route.reply.clone())),
        OnReceive::GroupSend => Rc::new(GroupSend {
            node: node.clone(),
            kind: route.event_type.clone().unwrap_or_default().into(),
            exclude_sender: route.exclude_sender,
        }),
    }
}

/// The same message back.
struct Echo;

/// Nothing.
struct Ignore;

/// A fixed text back.
struct Reply(String);

/// `{"type": kind, "message": ..}` to every group of the route.
struct GroupSend {
    node: Node,
    kind: ByteString,
    exclude_sender: bool,
}

impl Inbound for Echo {
    fn text(&self, session: &mut SessionContext<'_>, text: &str) -> Step {
        session.send_text(text);
        Step::Continue
    }

    fn binary(&self, session: &mut SessionContext<'_>, bytes: &[u8]) -> Step {
        session.send_binary(bytes);
        Step::Continue
    }
}

impl Inbound for Ignore {
    fn text(&self, _session: &mut SessionContext<'_>, _text: &str) -> Step {
        Step::Continue
    }

    fn binary(&self, _session: &mut SessionContext<'_>, _bytes: &[u8]) -> Step {
        Step::Continue
    }
}

impl Inbound for Reply {
    fn text(&self, session: &mut SessionContext<'_>, _text: &str) -> Step {
        session.send_text(&self.0);
        Step::Continue
    }

    fn binary(&self, session: &mut SessionContext<'_>, _bytes: &[u8]) -> Step {
        session.send_text(&self.0);
        Step::Continue
    }
}

impl Inbound for GroupSend {
    fn text(&self, session: &mut SessionContext<'_>, text: &str) -> Step {
        self.publish(session, Value::Str(ByteString::from(text)))
    }

    fn binary(&self, session: &mut SessionContext<'_>, bytes: &[u8]) -> Step {
        self.publish(session, Value::Bin(Bytes::copy_from_slice(bytes)))
    }
}

impl GroupSend {
    /// A publish that fails is dropped here and counted by the layer: the socket stays, unless it
    /// sent what the layer has no notation for.
    fn publish(&self, session: &SessionContext<'_>, message: Value) -> Step {
        let kind = Value::Str(self.kind.clone());
        let fields = vec![
            (ByteString::from_static("type"), kind),
            (ByteString::from_static("message"), message),
        ];
        let Ok(event) = Event::from_fields(fields) else {
            return Step::Close(CloseCode::INTERNAL, "the route's event type is no text");
        };
        let exclude = if self.exclude_sender {
            vec![session.channel()]
        } else {
            Vec::new()
        };
        let envelope = Arc::new(Envelope::excluding(event, exclude));
        let mut groups = session.groups().iter();
        while let Some(group) = groups.next() {
            let publish = session.publish(Target::Group(group.clone()), Arc::clone(&envelope));
            match publish {
                Publish::Full(_) => {
                    let groups = groups.cloned().collect();
                    return Step::Publishing(self.rest(publish, groups, envelope));
                }
                // What the client sent is of a kind that no group can ever get.
                Publish::Done(Err(PublishError::Unserializable(SerializeError::Bytes {
                    ..
                }))) => {
                    return Step::Close(
                        CloseCode::UNSUPPORTED,
                        "send text: this layer has no bytes",
                    );
                }
                Publish::Done(_) | Publish::Sent(_) => {}
            }
        }
        Step::Continue
    }

    /// Finishes a publish for which the layer had no room, then those to the groups after it.
    fn rest(&self, first: Publish, groups: Vec<GroupName>, envelope: Arc<Envelope>) -> Publish {
        if groups.is_empty() {
            return first;
        }
        let node = self.node.clone();
        Publish::Full(Box::pin(async move {
            let mut last = taken(first).await;
            for group in groups {
                last = taken(node.publish(Target::Group(group), Arc::clone(&envelope))).await;
            }
            last
        }))
    }
}

/// Waits until the layer has taken a publish, not for its answer.
async fn taken(publish: Publish) -> Publish {
    let mut step = publish;
    while let Publish::Full(room) = step {
        step = room.await;
    }
    step
}
