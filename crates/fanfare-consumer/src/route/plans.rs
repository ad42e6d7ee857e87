//! The delivery plans of consumers.

use std::any::TypeId;
use std::collections::BTreeMap;
use std::sync::Arc;

use fanfare_node::Delivering;
use fanfare_protocol::{DeliverTable, Plan};
use parking_lot::Mutex;

use crate::consumer::Frames;

/// [`Consumer::DELIVER`](crate::Consumer::DELIVER).
type Table = &'static [(&'static str, &'static str)];

/// Every plan, once: sessions that share one share the frames, and an App is built several times,
/// on every thread. Grows by the consumers of a program, not by what they do.
static PLANS: Mutex<BTreeMap<(TypeId, Table), Arc<dyn Plan>>> = Mutex::new(BTreeMap::new());

/// The plan of consumers with events of the type `E`: those of other types read the same events as
/// something else, and share nothing.
pub(super) fn plan_of<E: 'static>(table: Table) -> Arc<dyn Plan> {
    let mut plans = PLANS.lock();
    let plan = plans.entry((TypeId::of::<E>(), table)).or_insert_with(|| {
        let entry = |&(kind, field): &(&str, &str)| (kind.to_owned(), field.to_owned());
        Arc::new(DeliverTable {
            send: table.iter().map(entry).collect(),
            deliver_unknown: true,
        })
    });
    Arc::clone(plan)
}

/// How consumers with events of this type get them.
pub(super) fn delivering<E: 'static>() -> Delivering {
    if TypeId::of::<E>() == TypeId::of::<Frames>() {
        Delivering::Frames
    } else {
        Delivering::Mail
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consumers_share_a_plan_when_events_and_table_are_the_same() {
        let plan = plan_of::<u8>(&[("a", "b")]);
        assert!(Arc::ptr_eq(&plan, &plan_of::<u8>(&[("a", "b")])));
        assert!(!Arc::ptr_eq(&plan, &plan_of::<u16>(&[("a", "b")])));
        assert!(!Arc::ptr_eq(&plan, &plan_of::<u8>(&[])));
    }

    #[test]
    fn only_frames_take_the_fast_path() {
        assert_eq!(delivering::<Frames>(), Delivering::Frames);
        assert_eq!(delivering::<()>(), Delivering::Mail);
    }
}
