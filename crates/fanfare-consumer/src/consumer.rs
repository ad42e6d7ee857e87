//! The application's side of a session.

use std::future::ready;

use fanfare_protocol::CloseCode;
use fanfare_web::{Accept, Reject, Request};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};

use crate::failure::{Failure, Outcome};
use crate::frame::{Frame, FromFrame};
use crate::session::Session;

/// What one session does; there is one value of it for each.
///
/// The session calls its consumer's methods one at a time, on one thread, in the order of what
/// comes in: no two of them ever interleave, and a consumer needs no locks for its own fields.
/// Client and layer are apart: what a client sends is only ever [`receive`](Self::receive)d, what
/// comes through the layer is only ever an [`event`](Self::event).
///
/// A method that fails closes its session with 1011, unless [`failed`](Self::failed) decides
/// otherwise. One that panics always does. Either is logged once, with its route; other sessions do
/// not notice. [`disconnect`](Self::disconnect) is called at the end of every session that was
/// accepted, whatever ended it.
///
/// The two parameters have defaults. `M` is the type of the messages that a consumer sends to
/// itself: by its timers, by the futures that it [spawns](Session::spawn), and by the
/// [handles](Session::handle) that it gives away. `I` is what it receives of a client: a [`Frame`],
/// or for clients that speak JSON a [`JsonFrame`](crate::JsonFrame). A consumer of frames with a
/// timer is a `Consumer<Tick>`, one of JSON a `Consumer<(), JsonFrame<Command>>`.
///
/// A chat:
///
/// ```
/// use actix_web::App;
/// use fanfare_consumer::{Accept, Consumer, Frame, Outcome, Reject, Request, Session, consumer};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Default)]
/// struct Chat {
///     group: String,
/// }
///
/// #[derive(Serialize, Deserialize)]
/// #[serde(tag = "type")]
/// enum ChatEvent {
///     #[serde(rename = "chat.message")]
///     Message { message: String },
/// }
///
/// impl Consumer for Chat {
///     type Event = ChatEvent;
///
///     async fn connect(
///         &mut self,
///         session: &mut Session,
///         request: &Request,
///     ) -> Result<Accept, Reject> {
///         let room: String = request.param("room")?;
///         self.group = format!("chat_{room}");
///         session.group_add(&self.group).await?;
///         Ok(Accept::new())
///     }
///
///     async fn receive(&mut self, session: &mut Session, frame: Frame) -> Outcome {
///         let message = frame.into_text()?.to_string();
///         session.group_send(&self.group, &ChatEvent::Message { message }).await?;
///         Ok(())
///     }
///
///     async fn event(&mut self, session: &mut Session, event: &ChatEvent) -> Outcome {
///         let ChatEvent::Message { message } = event;
///         session.send_text(message).await?;
///         Ok(())
///     }
/// }
///
/// let app = || App::new().service(consumer("/ws/chat/{room}/", Chat::default));
/// # let _ = app();
/// ```
///
/// The group could be [declared](Self::GROUPS) instead. And where events are to reach the client
/// as they are, `type Event = Frames` says so, and is faster: see [`Frames`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no consumer with messages `{M}` whose clients send `{I}`",
    label = "no `Consumer<{M}, {I}>`",
    note = "the session of a `Consumer<M>` is a `Session<M>`, and its `I` is what `receive` takes: \
            `Consumer<Tick>` has a `Session<Tick>`, `Consumer<(), JsonFrame<T>>` receives JSON"
)]
pub trait Consumer<M: 'static = (), I: FromFrame = Frame>: Sized + 'static {
    /// The events that this consumer knows: a type that serde reads, usually an enum tagged by
    /// `type`. Or [`Frames`], for a consumer without [`event`](Self::event).
    type Event: DeserializeOwned + 'static;

    /// The groups that every session joins before [`connect`](Self::connect) is called. A
    /// `{parameter}` of the path may stand in a name: `"chat_{room}"`. A name that a client could
    /// make illegal by its path, or one of Fanfare's own (`fanfare.`), is refused with 400.
    const GROUPS: &'static [&'static str] = &[];

    /// How events become frames, for [`Frames`] and for [`Session::forward`]: a pair of an event's
    /// type and the field that is sent, such as `("chat.message", "message")`; text and bytes as
    /// they are, everything else as JSON. Types that are not named here are sent as JSON, without
    /// their `type`.
    const DELIVER: &'static [(&'static str, &'static str)] = &[];

    /// What happens at an event that [`Event`](Self::Event) does not know.
    const UNKNOWN: Unknown = Unknown::Ignore;

    /// A client asks for a session, which is in its declared groups already. What is sent here goes
    /// out behind the acceptance, and not at all when this rejects. The default accepts.
    ///
    /// It must answer within the server's handshake timeout; it is dropped then.
    ///
    /// # Errors
    /// [`Reject`]: the client gets that response, and no session.
    fn connect(
        &mut self,
        session: &mut Session<M>,
        request: &Request,
    ) -> impl Future<Output = Result<Accept, Reject>> {
        let _unused = (session, request);
        ready(Ok(Accept::new()))
    }

    /// A message of the client. The default ignores it.
    ///
    /// # Errors
    /// A [`Failure`]: see [`failed`](Self::failed).
    fn receive(&mut self, session: &mut Session<M>, message: I) -> impl Future<Output = Outcome> {
        let _unused = (session, message);
        ready(Ok(()))
    }

    /// An event for one of the session's groups, or for its channel. Never called when
    /// [`Event`](Self::Event) is [`Frames`]. The default ignores it.
    ///
    /// # Errors
    /// A [`Failure`]: see [`failed`](Self::failed).
    fn event(
        &mut self,
        session: &mut Session<M>,
        event: &Self::Event,
    ) -> impl Future<Output = Outcome> {
        let _unused = (session, event);
        ready(Ok(()))
    }

    /// A message of a timer, of a future that was spawned, or of a handle. The default ignores it.
    ///
    /// # Errors
    /// A [`Failure`]: see [`failed`](Self::failed).
    fn message(&mut self, session: &mut Session<M>, message: M) -> impl Future<Output = Outcome> {
        let _unused = (session, message);
        ready(Ok(()))
    }

    /// A handler ended with an error, or a message of the client could not be read. What this answers
    /// takes the place of that failure: with `Ok(())` the session goes on, with [`Failure::reply`]
    /// it goes on after that answer to the client, and with any other failure it is closed. The
    /// default answers the failure that it got.
    ///
    /// It is not called for [`Failure::close`] and [`Failure::reply`], which are decisions already,
    /// nor for a panic, nor once the session is over. A failure that this turns into an answer is
    /// not logged.
    ///
    /// ```
    /// use fanfare_consumer::{Consumer, Failure, Frame, Frames, Outcome, Session};
    ///
    /// #[derive(Debug, thiserror::Error)]
    /// #[error("the auction is over")]
    /// struct Over;
    ///
    /// struct Bids;
    ///
    /// impl Consumer for Bids {
    ///     type Event = Frames;
    ///
    ///     async fn receive(&mut self, _: &mut Session, _: Frame) -> Outcome {
    ///         Err(Over)?;
    ///         Ok(())
    ///     }
    ///
    ///     async fn failed(&mut self, _: &mut Session, failure: Failure) -> Outcome {
    ///         if failure.downcast_ref::<Over>().is_some() {
    ///             let answer = serde_json::json!({ "error": failure.to_string() });
    ///             return Err(Failure::reply(&answer));
    ///         }
    ///         Err(failure)
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    /// The [`Failure`] that counts.
    fn failed(
        &mut self,
        session: &mut Session<M>,
        failure: Failure,
    ) -> impl Future<Output = Outcome> {
        let _unused = session;
        ready(Err(failure))
    }

    /// The session is over: called once for every session that was accepted, whatever ended it. It
    /// is in no group any more, its timers and spawned futures are gone, and nothing that is sent
    /// arrives.
    ///
    /// The code is the one that the client closed with, or the one that was sent to it; 1005 when
    /// the client gave none, and 1006 when the connection was lost. A handler that is still running
    /// when its session ends may go on for half of the node's close timeout and is dropped then;
    /// this has the other half.
    fn disconnect(
        &mut self,
        session: &mut Session<M>,
        code: CloseCode,
    ) -> impl Future<Output = ()> {
        let _unused = (session, code);
        ready(())
    }
}

/// What happens at an event whose type or fields a consumer does not know. It is counted in
/// `fanfare_consumer_events_total{outcome="unknown"}` in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing.
    #[default]
    Ignore,
    /// The session is closed with 1008 (policy).
    Close,
}

/// The event type of a consumer that lets events go to its client as they are: they are encoded
/// once for all sessions of the route, as [`Consumer::DELIVER`] says, and never pass through the
/// consumers. It is the fastest way.
///
/// That holds for all events that reach the session: of its groups, declared or joined later, for
/// its user, for its channel and for everyone. The other methods are called as always.
///
/// ```
/// use fanfare_consumer::{Consumer, Frames};
///
/// struct Ticker;
///
/// impl Consumer for Ticker {
///     type Event = Frames;
///     const GROUPS: &'static [&'static str] = &["prices"];
///     const DELIVER: &'static [(&'static str, &'static str)] = &[("price.changed", "price")];
/// }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {}

impl<'de> Deserialize<'de> for Frames {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("there is no value of the type Frames"))
    }
}
