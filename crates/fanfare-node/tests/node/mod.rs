mod absent_layer;
mod bounds;
mod client;
mod each;
#[cfg(feature = "fault")]
mod faults;
mod members;
mod membership;
mod programs;
mod rate;
mod sessions;
mod silence;
mod streams;
mod subscriptions;
mod turns;
