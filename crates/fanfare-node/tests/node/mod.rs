mod bounds;
mod client;
mod each;
#[cfg(feature = "fault")]
mod faults;
mod members;
mod membership;
mod presence;
mod programs;
mod sessions;
mod streams;
