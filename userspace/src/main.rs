//! The `xdsc` command.

fn main() {}
