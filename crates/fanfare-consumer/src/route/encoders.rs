//! The delivery encoders of consumers.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_node::DeliveryMode;
use fanfare_protocol::{DeliverTable, Encoder, RouteEncoder};
use parking_lot::Mutex;

use crate::consumer::Frames;

/// [`Consumer::DELIVER`](crate::Consumer::DELIVER).
type Table = &'static [(&'static str, &'static str)];

/// Every encoder, once: sessions that share one share the frames, and an App is built several times,
/// on every thread. Grows by the consumers of a program, not by what they do.
static ENCODERS: Mutex<BTreeMap<(TypeId, Table), Arc<dyn Encoder>>> = Mutex::new(BTreeMap::new());

/// The encoder of consumers with events of the type `E`: those of other types read the same events as
/// something else, and share nothing.
pub(super) fn encoder_of<E: 'static>(table: Table) -> Arc<dyn Encoder> {
    let mut encoders = ENCODERS.lock();
    let encoder = encoders
        .entry((TypeId::of::<E>(), table))
        .or_insert_with(|| {
            let entry = |&(kind, field): &(&str, &str)| (kind.to_owned(), field.to_owned());
            Arc::new(RouteEncoder(DeliverTable {
                send: table.iter().map(entry).collect(),
                deliver_unknown: true,
            }))
        });
    Arc::clone(encoder)
}

/// How consumers with events of this type get them.
pub(super) fn delivering<E: 'static>() -> DeliveryMode {
    if TypeId::of::<E>() == TypeId::of::<Frames>() {
        DeliveryMode::Frames
    } else {
        DeliveryMode::Events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_share_a_plan_when_events_and_table_are_the_same() {
        let encoder = encoder_of::<u8>(&[("a", "b")]);
        assert!(Arc::ptr_eq(&encoder, &encoder_of::<u8>(&[("a", "b")])));
        assert!(!Arc::ptr_eq(&encoder, &encoder_of::<u16>(&[("a", "b")])));
        assert!(!Arc::ptr_eq(&encoder, &encoder_of::<u8>(&[])));
    }

    #[test]
    fn only_frames_take_the_fast_path() {
        assert_eq!(delivering::<Frames>(), DeliveryMode::Frames);
        assert_eq!(delivering::<()>(), DeliveryMode::Events);
    }
}
