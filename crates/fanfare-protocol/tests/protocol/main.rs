//! What the protocol crate promises, from outside.

mod close;
mod encoder;
mod events;
mod frame_cases;
mod frame_properties;
mod frames;
mod json;
mod msgpack;
mod msgpack_faults;
mod names;
mod positions;
mod serializer;
mod serializer_json;
mod serializer_keys;
mod session_names;
mod strategies;
mod typed;
mod typed_faults;
