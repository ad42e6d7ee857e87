//! What the kernel counts: CPU time, memory, the machine.

pub(crate) mod cpu;
pub(crate) mod machine;
pub(crate) mod memory;
pub(crate) mod perf;
