mod admission;
mod app;
mod client;
mod handshakes;
mod listeners;
mod refusals;
mod rig;
mod serving;
