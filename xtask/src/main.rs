//! The tool runner.
fn main() {}
