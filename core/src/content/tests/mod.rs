//! Tests of the content modules together.
