//! From the lanes of this node and the normal channels it receives from into the queue of what
//! arrived.

pub(super) mod channels;
pub(super) mod lanes;
mod merge;
