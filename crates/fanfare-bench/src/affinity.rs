//! Which core the server gets and which the loader.

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// The two cores of a measurement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cores {
    /// Every thread of the server runs here.
    pub(crate) server: usize,
    /// The loader runs here.
    pub(crate) loader: usize,
}

impl Cores {
    /// The first two cores this process may use; one core twice where there is only one.
    ///
    /// # Errors
    /// The kernel does not tell the affinity.
    pub(crate) fn choose() -> anyhow::Result<Self> {
        let allowed = sched_getaffinity(None).context("cannot read the affinity")?;
        let mut cores = (0..CpuSet::MAX_CPU).filter(|core| allowed.is_set(*core));
        let server = cores.next().context("no core is allowed")?;
        Ok(Self {
            server,
            loader: cores.next().unwrap_or(server),
        })
    }

    /// Whether server and loader compete for one core, which makes rates meaningless.
    pub(crate) fn shared(self) -> bool {
        self.server == self.loader
    }

    /// Puts this thread, and what it starts from now on, on the loader's core.
    ///
    /// # Errors
    /// The affinity cannot be set.
    pub(crate) fn enter_loader(self) -> anyhow::Result<()> {
        pin(self.loader)
    }

    /// Runs `spawn` on the server's core, so that the child inherits it, and returns to the
    /// loader's.
    ///
    /// # Errors
    /// The affinity cannot be set, or what `spawn` answers.
    pub(crate) fn on_server_core<T>(
        self,
        spawn: impl FnOnce() -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        pin(self.server)?;
        let spawned = spawn();
        pin(self.loader)?;
        spawned
    }
}

fn pin(core: usize) -> anyhow::Result<()> {
    let mut set = CpuSet::new();
    set.set(core);
    sched_setaffinity(None, &set).with_context(|| format!("cannot run on core {core}"))
}
