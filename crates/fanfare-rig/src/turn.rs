//! Who runs at the same time as whom.

use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

static STAGE: RwLock<()> = RwLock::const_new(());

/// A test's right to run: most share the machine, those that measure or load it run alone.
///
/// Take one per test; a second one taken by the same test can wait for a third party for ever.
#[derive(Debug)]
pub enum Turn {
    /// Together with other tests.
    Shared(RwLockReadGuard<'static, ()>),
    /// With nothing else of this test binary running.
    Alone(RwLockWriteGuard<'static, ()>),
}

impl Turn {
    /// Waits for a turn together with others.
    pub async fn shared() -> Self {
        Self::Shared(STAGE.read().await)
    }

    /// Waits until nobody else runs.
    pub async fn alone() -> Self {
        Self::Alone(STAGE.write().await)
    }
}
