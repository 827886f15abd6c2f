//! Host stub.
fn main() {}
