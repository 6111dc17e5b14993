//! Who gets to see what.
