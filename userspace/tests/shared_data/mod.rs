//! The folder of other projects' captures, which stays outside of the repository:
//! `shared/data` beside it, or where `XDSC_SHARED_DATA` says.
#![expect(
    clippy::print_stderr,
    reason = "a test that is skipped must be seen to be"
)]

use std::{
    env,
    path::{Path, PathBuf},
};

/// The folder; `None`, and a word about it, where there is none.
pub(crate) fn data() -> Option<PathBuf> {
    let named = env::var_os("XDSC_SHARED_DATA").map(PathBuf::from);
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    let folder = named.unwrap_or(beside);
    if folder.is_dir() {
        return Some(folder);
    }
    eprintln!(
        "SKIPPED: the captures are not in {}; XDSC_SHARED_DATA names their folder",
        folder.display()
    );
    None
}
