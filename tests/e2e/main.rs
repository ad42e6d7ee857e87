//! The product as its users meet it: real processes, real sockets, a real Redis, real Python, a
//! real browser. What a single crate can show by itself is tested there, not here.

mod cli;
mod cluster;
mod delivery;
mod docs;
mod drain;
mod frames;
mod handshake;
mod page;
mod python;
mod redis_faults;
mod slow_clients;
mod storm;
mod support;
mod topology;
