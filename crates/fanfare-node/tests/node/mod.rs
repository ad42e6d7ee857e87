mod bounds;
mod client;
#[cfg(feature = "fault")]
mod faults;
mod sessions;
