//! Stories of the tracker, told in bytes.
