//! The product as its users meet it: real processes, real sockets, a real Redis, real Python, a
//! real browser. What a single crate can show by itself is tested there, not here.

mod absent_redis;
mod agreement;
mod browser;
mod cli;
mod close_events;
mod cluster;
mod core_faults;
mod delivery;
mod django;
mod doc_links;
mod docs;
mod drain;
mod flush;
mod format;
mod forwarded;
mod frames;
mod handshake;
mod health_checks;
mod matrix;
mod memory;
mod names;
mod notation;
mod page;
mod properties;
mod python;
mod reasons;
mod redis_faults;
mod refusals;
mod sentinel;
mod slow_clients;
mod storm;
mod support;
mod topology;
mod variants;
