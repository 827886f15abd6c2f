//! What is said to people beside the output.

pub use demo_server::visible::say;
