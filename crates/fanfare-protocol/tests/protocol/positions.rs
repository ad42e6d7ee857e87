//! Positions in the history of a group.

use std::num::NonZeroU64;

use fanfare_protocol::{Epoch, Position, PositionError};
use proptest::prelude::*;

#[test]
fn a_position_is_an_epoch_and_an_offset_with_a_colon_between() {
    let position: Position = "1k2j3h:42".parse().unwrap();
    assert_eq!(position.epoch.as_str(), "1k2j3h");
    assert_eq!(position.offset.get(), 42);
    assert_eq!(position.to_string(), "1k2j3h:42");
}

#[test]
fn what_is_no_position_is_refused_with_its_cause() {
    let refused = |text: &str| text.parse::<Position>().unwrap_err();
    for text in ["", "a", "12"] {
        assert_eq!(refused(text), PositionError::NoColon, "{text:?}");
    }
    for text in [":1", "A:1", "a-b:1", "é:1", "a\0:1", "abcdefghijklmnopq:1"] {
        assert_eq!(refused(text), PositionError::Epoch, "{text:?}");
    }
    for text in [
        "a:",
        "a:0",
        "a:01",
        "a:+1",
        "a:-1",
        "a:1 ",
        "a:1:1",
        "a:18446744073709551616",
    ] {
        assert_eq!(refused(text), PositionError::Offset, "{text:?}");
    }
}

#[test]
fn no_position_costs_no_more_than_a_position() {
    assert_eq!(size_of::<Option<Position>>(), size_of::<Position>());
    assert_eq!(size_of::<Position>(), 24);
}

proptest! {
    #[test]
    fn every_position_is_read_back_as_it_was_written(epoch in "[a-z0-9]{1,16}", offset in 1..=u64::MAX) {
        let position = Position {
            epoch: epoch.parse::<Epoch>().unwrap(),
            offset: NonZeroU64::new(offset).unwrap(),
        };
        prop_assert_eq!(position.epoch.as_str(), &epoch);
        prop_assert_eq!(position.to_string().parse(), Ok(position));
    }
}
