//! Programs that the real one is compared with.
