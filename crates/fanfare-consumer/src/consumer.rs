//! The trait that applications implement for their sessions.

use std::future::ready;

use fanfare_protocol::CloseCode;
use fanfare_web::{Accept, Reject, Request};
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _};

use crate::failure::{Failure, Outcome};
use crate::frame::{Frame, FromFrame};
use crate::session::Session;

/// The application's code for one session. Each session has its own value.
///
/// The session calls the methods of its consumer one at a time, on one thread, in the order in
/// which messages and events arrive. Two methods never run at the same time, so a consumer needs no
/// locks for its own fields. Messages of the client go to [`receive`](Self::receive) only, and
/// events of the layer go to [`event`](Self::event) only.
///
/// If a method returns an error, the session is closed with 1011, unless [`failed`](Self::failed)
/// decides otherwise. If a method panics, the session is always closed. Both are logged once, with
/// the route, and do not affect other sessions. [`disconnect`](Self::disconnect) is called at the
/// end of every accepted session, for whatever reason it ended.
///
/// The two parameters have defaults. `M` is the type of the messages that arrive in
/// [`message`](Self::message): from timers, from futures that the consumer
/// [spawns](Session::spawn), and from [handles](Session::handle). `I` is the type of the messages
/// of the client: a [`Frame`], or a [`JsonFrame`](crate::JsonFrame) for clients that send JSON. A
/// consumer of frames with a timer is a `Consumer<Tick>`. A consumer of JSON is a `Consumer<(),
/// JsonFrame<Command>>`.
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
/// The consumer could also [declare](Self::GROUPS) the group. If events should reach the client
/// unchanged, `type Event = Frames` is faster: see [`Frames`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no consumer with messages `{M}` whose clients send `{I}`",
    label = "no `Consumer<{M}, {I}>`",
    note = "a consumer implements `Consumer` for itself, and its factory is a closure that returns one, \
            without `async`",
    note = "the session of a `Consumer<M>` is a `Session<M>`, and its `I` is what `receive` takes: \
            `Consumer<Tick>` has a `Session<Tick>`, `Consumer<(), JsonFrame<T>>` receives JSON"
)]
pub trait Consumer<M: 'static = (), I: FromFrame = Frame>: Sized + 'static {
    /// The events that this consumer knows: a type that serde can read, usually an enum tagged by
    /// `type`. For a consumer without [`event`](Self::event) it is [`Frames`].
    type Event: DeserializeOwned + 'static;

    /// The groups that every session joins. It joins them when [`connect`](Self::connect) accepts, or
    /// before the first event that `connect` publishes through the session. A name may
    /// contain a `{parameter}` of the path: `"chat_{room}"`. A handshake gets 400 if its path makes
    /// a name that is not valid or that starts with `fanfare.`.
    const GROUPS: &'static [&'static str] = &[];

    /// How events become frames, for [`Frames`] and for [`Session::forward`]. Each pair has the
    /// type of an event and the field that is sent, such as `("chat.message", "message")`. Text
    /// becomes a text frame, bytes become a binary frame, and any other value becomes JSON. An
    /// event of another type is sent whole, as JSON with its `type`.
    const DELIVER: &'static [(&'static str, &'static str)] = &[];

    /// What happens to an event that is not an [`Event`](Self::Event).
    const UNKNOWN: Unknown = Unknown::Ignore;

    /// Decides about a handshake. If this accepts, the session joins its declared groups, and then
    /// what it sent here leaves behind the response. If it rejects, nothing is sent, and the session
    /// was in no group, unless it published an event through the session before. The default
    /// accepts.
    ///
    /// It must return within the server's handshake timeout. After that it is dropped.
    ///
    /// # Errors
    /// [`Reject`]: the client gets that response, and there is no session.
    fn connect(
        &mut self,
        session: &mut Session<M>,
        request: &Request,
    ) -> impl Future<Output = Result<Accept, Reject>> {
        let _unused = (session, request);
        ready(Ok(Accept::new()))
    }

    /// Handles a message of the client. The default ignores it.
    ///
    /// # Errors
    /// A [`Failure`]: see [`failed`](Self::failed).
    fn receive(&mut self, session: &mut Session<M>, message: I) -> impl Future<Output = Outcome> {
        let _unused = (session, message);
        ready(Ok(()))
    }

    /// Handles an event for one of the session's groups or for its channel. It is never called if
    /// [`Event`](Self::Event) is [`Frames`]. The default ignores the event.
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

    /// Handles a message of a timer, of a spawned future, or of a handle. The default ignores it.
    ///
    /// # Errors
    /// A [`Failure`]: see [`failed`](Self::failed).
    fn message(&mut self, session: &mut Session<M>, message: M) -> impl Future<Output = Outcome> {
        let _unused = (session, message);
        ready(Ok(()))
    }

    /// Handles an error that a handler has returned, or a message of the client that could not be
    /// read. The result replaces the failure. With `Ok(())` the session continues. With
    /// [`Failure::reply`] the client gets that answer, and the session continues. With any other
    /// failure the session is closed. The default returns the failure that it got.
    ///
    /// It is not called for [`Failure::close`] and [`Failure::reply`], which are decisions already,
    /// nor for a panic, nor after the end of the session. A failure that it turns into an answer is
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
    /// The [`Failure`] that replaces the one that it got.
    fn failed(
        &mut self,
        session: &mut Session<M>,
        failure: Failure,
    ) -> impl Future<Output = Outcome> {
        let _unused = session;
        ready(Err(failure))
    }

    /// Called once at the end of every accepted session, for whatever reason it ended. The session
    /// is in no group any more, its timers and spawned futures are gone, and nothing can be sent to
    /// the client.
    ///
    /// `code` is the code of the client's close frame, or the code that was sent to the client. It
    /// is 1005 if the client gave no code, and 1006 if the connection was lost. A handler that is
    /// still running at the end of the session has half of the node's close timeout, and is dropped
    /// then. This method has the other half.
    fn disconnect(
        &mut self,
        session: &mut Session<M>,
        code: CloseCode,
    ) -> impl Future<Output = ()> {
        let _unused = (session, code);
        ready(())
    }
}

/// What happens to an event whose type or fields a consumer does not know. It is always counted in
/// `fanfare_consumer_events_total{outcome="unknown"}`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Unknown {
    /// Nothing.
    #[default]
    Ignore,
    /// The session is closed with 1008 (policy).
    Close,
}

/// The event type of a consumer that does not handle events itself. Fanfare encodes each event once
/// for all sessions of the route, as [`Consumer::DELIVER`] says, and sends it to the clients
/// without calling the consumers. This is the fastest way.
///
/// This applies to all events that reach the session: for its groups, declared or joined later, for
/// its user, for its channel and for everyone. The other methods are called as usual.
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
