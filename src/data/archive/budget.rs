//! Limits on unpacking an archive.

use std::io::{self, Read};

use super::{ArchiveError, ArchiveLimits, Odd, Visitor};

/// How many times its own size an archive may unpack to before it counts as a bomb, and how many bytes it may unpack
/// to in any case.
const MAX_RATIO: u64 = 200;
const SMALL: u64 = 64 << 20;

/// What one pass over an archive may use.
pub(super) struct Budget {
    limits: ArchiveLimits,
    unpacked: u64,
    entries: u64,
    bytes: u64,
}

impl Budget {
    /// For an archive of `size` bytes.
    pub(super) fn new(limits: ArchiveLimits, size: u64) -> Self {
        let by_ratio = size.saturating_mul(MAX_RATIO).saturating_add(SMALL);
        Self { limits, unpacked: limits.unpacked_bytes.min(by_ratio), entries: 0, bytes: 0 }
    }

    /// Counts an entry.
    pub(super) fn entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(ArchiveError::Entries(self.limits.entries));
        }
        Ok(())
    }

    /// Counts unpacked bytes.
    pub(super) fn add(&mut self, bytes: u64) -> Result<(), ArchiveError> {
        if bytes > self.unpacked - self.bytes {
            return Err(ArchiveError::Unpacked(self.unpacked));
        }
        self.bytes += bytes;
        Ok(())
    }

    /// Passes a file to `visitor`, and counts its bytes as they come: the archive's stated sizes are not trusted.
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
        Ok(visited)
    }

    /// Refuses a file by its stated size, so that it is not unpacked first. Returns whether it is too large.
    pub(super) fn is_too_large(&self, stated: u64) -> Result<Option<Odd>, ArchiveError> {
        if stated > self.unpacked - self.bytes {
            return Err(ArchiveError::Unpacked(self.unpacked));
        }
        let limit = self.limits.file_bytes;
        Ok((stated > limit).then_some(Odd::TooLarge(limit)))
    }
}

/// Fails after too many bytes, instead of ending, so that nobody takes a part for the whole.
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
