//! Small code for what the standard library does in much: collections in order of their keys, numbers in text, text in parts.

pub(crate) mod bytes;
mod map;
mod order;
mod set;
pub mod text;

pub use map::{Entry, Map};
pub use order::order;
pub use set::Set;
