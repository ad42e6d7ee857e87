//! The two wire formats, for tests that hold in both.

use std::time::Duration;

use fanfare_layer::redis::{Capacities, CoreOptions, Format};
use fanfare_protocol::Serializer;
use fanfare_protocol::serializer::Notation;

/// Makes two tests of each function that takes a format: `pubsub::name` and `core::name`.
macro_rules! in_both_formats {
    ($($name:ident,)+) => {
        mod pubsub {
            $(#[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                super::$name($crate::formats::pubsub()?).await
            })+
        }

        mod core {
            $(#[tokio::test]
            async fn $name() -> anyhow::Result<()> {
                super::$name($crate::formats::core()?).await
            })+
        }
    };
}

pub(crate) use in_both_formats;

/// The format of channels_redis' pub/sub layer, with its defaults.
pub(crate) fn pubsub() -> anyhow::Result<Format> {
    Ok(Format::default())
}

/// The format of channels_redis' core layer, with its defaults.
pub(crate) fn core() -> anyhow::Result<Format> {
    let expiry = Duration::from_secs(60);
    Ok(Format::Core(CoreOptions {
        serializer: Serializer::core(Notation::Msgpack, &[], 12, expiry),
        capacity: Capacities::new(100, &[])?,
        expiry,
        group_expiry: Duration::from_secs(86_400),
        per_session: false,
    }))
}

pub(crate) fn is_core(format: &Format) -> bool {
    matches!(format, Format::Core(_))
}
