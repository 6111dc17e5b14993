//! temp
pub mod suffix;
pub mod text;
pub mod tld;
