//! Where packets and records come from: the kernel (`live`) or captures (`file`).

pub mod dsc_front;
pub mod file;
pub mod fragments;
pub mod live;
pub mod observer;
pub mod order;
pub mod stream;
pub mod whole;
