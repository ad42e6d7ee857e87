//! Templates of paths and of group names: text with `{name}` and `{name:pattern}` in it. Routes in
//! Rust and routes of the server's configuration share them.

mod error;
mod groups;
mod path;
mod set;
mod syntax;

pub use error::TemplateError;
pub use groups::GroupTemplate;
pub use path::PathTemplate;
pub use set::{PathSet, PathSetError};
