//! Domain names as text, and the lists that names are looked up in.
//!
//! Apart from `stats`, for configuration and statistics both read names. A name
//! is its lower-cased wire octets, root label included, with the offsets of its
//! labels beside it (the root has none): what each lookup takes, so that nothing
//! is allocated for a message.

pub mod list_file;
pub mod punycode;
pub mod suffix;
pub mod text;
pub mod tld;
