//! The allocator gives memory back by itself.
//!
//! By default jemalloc returns unused pages only while the program allocates, so a node that had a
//! peak would keep it until the next traffic. A thread of the allocator's own does it here.

use tikv_jemalloc_ctl::{Access as _, AsName as _, Result, background_thread};

/// How long pages stay unused before they go back to the system, in milliseconds.
const DECAY_MS: isize = 1000;

/// Lets the allocator return unused pages after a second, without traffic too. To be called before
/// there are other threads: those that start later get the same.
pub(crate) fn give_back_unused() -> Result<()> {
    for name in [&b"arenas.dirty_decay_ms\0"[..], b"arena.0.dirty_decay_ms\0"] {
        name.name().write(DECAY_MS)?;
    }
    background_thread::write(true)
}
