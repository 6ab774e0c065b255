//! Collections: small code, order by key, the same on every host.

mod map;
mod set;

pub use map::{Entry, Map};
pub use set::Set;
