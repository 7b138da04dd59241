//! Limits on unpacking an archive.

use std::io::{self, Read};

use super::{ArchiveError, ArchiveLimits, Odd, Visitor};

/// An archive that unpacks to more than this many times its size, plus [`SMALL`], counts as a bomb.
const MAX_RATIO: u64 = 200;
/// Bytes that even the smallest archive may unpack to.
const SMALL: u64 = 64 << 20;

/// The limits of one pass over an archive, and what it has used so far.
pub(super) struct Budget {
    limits: ArchiveLimits,
    unpacked: u64,
    entries: u64,
    bytes: u64,
}

impl Budget {
    /// Returns the budget for an archive of `size` bytes.
    pub(super) fn new(limits: ArchiveLimits, size: u64) -> Self {
        let by_ratio = size.saturating_mul(MAX_RATIO).saturating_add(SMALL);
        Self { limits, unpacked: limits.unpacked_bytes.min(by_ratio), entries: 0, bytes: 0 }
    }

    /// Counts an entry.
    pub(super) fn entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        self.check_entries(self.entries)
    }

    /// Checks a number of entries before they are read.
    pub(super) fn check_entries(&self, entries: u64) -> Result<(), ArchiveError> {
        let limit = self.limits.entries;
        if entries > limit { Err(ArchiveError::Entries(limit)) } else { Ok(()) }
    }

    /// Counts unpacked bytes.
    pub(super) fn add(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        if bytes > self.unpacked - self.bytes {
            return Err(ArchiveError::Unpacked(self.unpacked));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Passes a file to `visitor` and counts its bytes as they are read, since the stated sizes are not trusted.
    pub(super) fn read(
        &mut self,
        path: &str,
        content: &mut dyn Read,
        visitor: &mut dyn Visitor,
    ) -> Result<Result<(), io::Error>, ArchiveError> {
        let most = self.limits.file_bytes.min(self.unpacked - self.bytes);
        let mut limited = Limited { inner: content, most, read: 0 };
        let visited = visitor.file(path, &mut limited);
        let read = limited.read;
        self.add(read)?;
        if read > self.limits.file_bytes {
            visitor.odd(path, Odd::TooLarge(self.limits.file_bytes))?;
            return Ok(Ok(()));
        }
        match visited {
            // The entry is not damaged, so leaving it out would be wrong.
            Err(error) if error.kind() == io::ErrorKind::OutOfMemory => {
                Err(ArchiveError::OutOfMemory(path.to_owned()))
            }
            visited => Ok(visited),
        }
    }

    /// Checks a file's stated size before the file is unpacked. Returns the reason if it is too large.
    pub(super) fn is_too_large(&self, stated: u64) -> Result<Option<Odd>, ArchiveError> {
        if stated > self.unpacked - self.bytes {
            return Err(ArchiveError::Unpacked(self.unpacked));
        }
        let limit = self.limits.file_bytes;
        Ok((stated > limit).then_some(Odd::TooLarge(limit)))
    }
}

/// A reader that fails after too many bytes instead of ending, so that a part is never taken for the whole.
struct Limited<'a> {
    inner: &'a mut dyn Read,
    most: u64,
    read: u64,
}

impl Read for Limited<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read += count as u64;
        if self.read > self.most { Err(io::Error::other("too many bytes")) } else { Ok(count) }
    }
}
