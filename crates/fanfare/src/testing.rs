//! The testing kit: an application without a listener, and a live server.
//!
//! [`Application`] drives an App on the test's own thread, on a clock that can stand still;
//! [`LiveServer`] is the real thing, on a free port.

#[doc(inline)]
pub use fanfare_consumer::testing::*;
#[doc(inline)]
pub use fanfare_gateway::testing::{LiveOptions, LiveServer};
