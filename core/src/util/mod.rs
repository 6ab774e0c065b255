//! Small code for what the standard library does in much: collections in order of their keys, numbers in text.

mod map;
mod set;
pub mod text;

pub use map::{Entry, Map};
pub use set::Set;
