//! The DNS packet parser of xdsc.
#![no_std]
#![forbid(unsafe_code)]
