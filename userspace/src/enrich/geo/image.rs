//! A file's content in memory that nobody can change.
//!
//! A mapping of the file itself would die of SIGBUS when somebody truncates the
//! file in place, which is what `cp` over it does, and would change under the
//! reader when somebody writes into it: no check before use would hold. So the
//! file is copied into an anonymous file in memory, that one is sealed against
//! every change, and then mapped. The price is the file's size in memory, which
//! a database that is asked all the time has in the page cache anyway.

use std::{
    fs::{File, Metadata, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    sync::Arc,
};

use memmap2::{Mmap, MmapOptions};
use nix::{
    fcntl::{FcntlArg, SealFlag, fcntl},
    sys::memfd::{MFdFlags, memfd_create},
};

use super::error::Reason;

/// Octets of the largest file that is taken.
pub(super) const MAX_SIZE: u64 = 4 << 30;

/// Octets that are copied at once.
const PIECE: usize = 256 << 10;

/// The content of a file as it was when it was read. A clone is the same memory.
#[derive(Clone)]
pub(super) struct Image(Arc<Mmap>);

impl Image {
    /// Copies a file.
    ///
    /// # Errors
    /// Where it cannot be read or is too large, where it changes meanwhile, and
    /// where there is no memory for it.
    pub(super) fn copy(path: &Path) -> Result<Self, Reason> {
        let file = open(path)?;
        let before = file.metadata().map_err(Reason::Unreadable)?;
        if !before.is_file() {
            return Err(Reason::NotAFile);
        }
        if before.len() > MAX_SIZE {
            return Err(Reason::TooLarge(before.len()));
        }
        let memory = anonymous().map_err(Reason::Memory)?;
        let copied = copy(&file, &memory, before.len())?;
        let after = file.metadata().map_err(Reason::Unreadable)?;
        if copied != before.len() || stamp(&before) != stamp(&after) {
            return Err(Reason::Changed);
        }
        seal(&memory).map_err(Reason::Memory)?;
        let mapped = map(&memory).map_err(Reason::Memory)?;
        Ok(Self(Arc::new(mapped)))
    }
}

impl AsRef<[u8]> for Image {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

/// Opens without waiting, which a pipe in the file's place would make it do.
fn open(path: &Path) -> Result<File, Reason> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK)
        .open(path)
        .map_err(Reason::Unreadable)
}

/// Copies a file that should have so many octets, and a piece more if there is one:
/// it shows that the file grew.
fn copy(mut file: &File, mut memory: &File, size: u64) -> Result<u64, Reason> {
    let mut piece = vec![0; PIECE];
    let mut copied = 0;
    while copied <= size {
        let count = match file.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Reason::Unreadable(error)),
        };
        memory.write_all(&piece[..count]).map_err(Reason::Memory)?;
        copied += count as u64;
    }
    Ok(copied)
}

/// What is different after every change of a file.
fn stamp(file: &Metadata) -> (u64, i64, i64, i64, i64) {
    (
        file.len(),
        file.mtime(),
        file.mtime_nsec(),
        file.ctime(),
        file.ctime_nsec(),
    )
}

fn anonymous() -> io::Result<File> {
    let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
    let memory = memfd_create(c"xdsc-mmdb", flags)?;
    Ok(File::from(memory))
}

fn seal(memory: &File) -> io::Result<()> {
    let seals = SealFlag::F_SEAL_SHRINK
        | SealFlag::F_SEAL_GROW
        | SealFlag::F_SEAL_WRITE
        | SealFlag::F_SEAL_SEAL;
    fcntl(memory, FcntlArg::F_ADD_SEALS(seals))?;
    Ok(())
}

/// Maps memory that was sealed. A private mapping, because kernels before 6.7
/// refuse a shared one of a file that is sealed against writing.
fn map(memory: &File) -> io::Result<Mmap> {
    // SAFETY: The seals hold for as long as the anonymous file exists, and the
    // mapping keeps it in existence: it can neither shrink under the mapping nor
    // change its content, whoever gets hold of it.
    unsafe { MmapOptions::new().map_copy_read_only(memory) }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn content_is_that_of_the_file_when_it_was_read() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("file");
        fs::write(&path, b"as it was").expect("written");

        let image = Image::copy(&path).expect("copied");
        fs::write(&path, b"").expect("truncated in place");
        assert_eq!(image.as_ref(), b"as it was");
        fs::remove_file(&path).expect("removed");
        assert_eq!(image.as_ref(), b"as it was");
    }

    #[test]
    fn sealed_memory_takes_no_change() {
        let mut memory = anonymous().expect("memory");
        memory.write_all(b"content").expect("written");
        seal(&memory).expect("sealed");
        memory.write_all(b"more").expect_err("cannot grow");
        memory.set_len(1).expect_err("cannot shrink");
    }

    #[test]
    fn what_is_no_file_is_told() {
        let folder = tempfile::tempdir().expect("folder");
        let pipe = folder.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).expect("pipe");
        for path in [folder.path(), &pipe, Path::new("/dev/zero")] {
            assert!(
                matches!(Image::copy(path), Err(Reason::NotAFile)),
                "{}",
                path.display()
            );
        }
        let absent = folder.path().join("absent");
        assert!(matches!(Image::copy(&absent), Err(Reason::Unreadable(_))));
    }

    #[test]
    fn a_file_over_the_bound_is_not_read() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("large");
        let file = File::create(&path).expect("created");
        file.set_len(MAX_SIZE + 1).expect("sparse");
        assert!(matches!(
            Image::copy(&path),
            Err(Reason::TooLarge(size)) if size == MAX_SIZE + 1
        ));
    }

    #[test]
    fn an_empty_file_is_empty() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("empty");
        File::create(&path).expect("created");
        assert_eq!(Image::copy(&path).expect("copied").as_ref(), b"");
    }
}
