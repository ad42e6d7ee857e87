mod bounds;
mod client;
#[cfg(feature = "fault")]
mod faults;
mod members;
mod programs;
mod sessions;
mod streams;
