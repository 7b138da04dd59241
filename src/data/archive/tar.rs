//! Tar archives, compressed or not.

use std::cell::Cell;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::rc::Rc;

use super::budget::Budget;
use super::{ArchiveError, Odd, Visitor, decoded, plain_path};

/// Limit on the headers before a file, in bytes: they may hold names of any length, which are kept in memory.
const MAX_HEADER: u64 = 1 << 20;
/// Limit on the bytes after the end marker; tapes have long blocks.
const MAX_PADDING: u64 = 64 << 20;

/// Whether a file begins with a tar header, by its checksum.
pub(super) fn is_tar(head: &[u8]) -> bool {
    let Some(head) = head.first_chunk::<512>() else { return false };
    let header = tar::Header::from_byte_slice(head);
    let sum = |bytes: &[u8]| bytes.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    let expected = sum(&head[..148]) + 8 * u32::from(b' ') + sum(&head[156..]);
    header.cksum().is_ok_and(|found| found == expected)
}

/// Shows every file of a tar to `visitor`, as [`super::Archive::visit`] does.
pub(super) fn visit(
    file: impl Read,
    budget: &mut Budget,
    visitor: &mut dyn Visitor,
) -> Result<(), ArchiveError> {
    let meter = Rc::new(Meter::default());
    let mut tar = tar::Archive::new(Metered { inner: file, meter: Rc::clone(&meter) });
    let mut entries = tar.entries().map_err(ArchiveError::Damaged)?;
    loop {
        meter.left.set(MAX_HEADER);
        let Some(entry) = entries.next() else { break };
        let mut entry = entry.map_err(ArchiveError::Damaged)?;
        meter.left.set(u64::MAX);
        budget.entry()?;
        match wanted_path(&entry, visitor)? {
            Some(path) => match budget.is_too_large(entry.size())? {
                Some(odd) => {
                    budget.add(entry.size())?;
                    visitor.odd(&path, odd)?;
                }
                // Damage inside one file of a tar affects everything after it.
                None => budget.read(&path, &mut entry, visitor)?.map_err(ArchiveError::Damaged)?,
            },
            // A skipped file is still unpacked, so it counts.
            None => budget.add(entry.size())?,
        }
        io::copy(&mut entry, &mut io::sink()).map_err(ArchiveError::Damaged)?;
    }
    if meter.ended.get() {
        let missing = io::Error::new(io::ErrorKind::UnexpectedEof, "no end marker");
        return Err(ArchiveError::Damaged(missing));
    }
    // The end marker is followed by padding and, in gzip, by a checksum, which reading to the end verifies.
    let mut rest = tar.into_inner();
    meter.left.set(MAX_PADDING);
    io::copy(&mut rest, &mut io::sink()).map(|_| ()).map_err(ArchiveError::Damaged)
}

fn wanted_path<R: Read>(
    entry: &tar::Entry<'_, R>,
    visitor: &mut dyn Visitor,
) -> Result<Option<String>, ArchiveError> {
    let name = decoded(&entry.path_bytes());
    let kind = entry.header().entry_type();
    if kind.is_pax_global_extensions() {
        return Ok(None);
    }
    let Some(path) = plain_path(&name)? else { return Ok(None) };
    if !(kind.is_file() || kind.is_dir()) {
        visitor.odd(&path, Odd::NotAFile)?;
        return Ok(None);
    }
    if kind.is_dir() {
        return Ok(None);
    }
    match visitor.wants(&path) {
        ControlFlow::Break(()) => Err(ArchiveError::Stopped),
        ControlFlow::Continue(wanted) => Ok(wanted.then_some(path)),
    }
}

/// How many more bytes may be read, and whether the input has ended.
#[derive(Default)]
struct Meter {
    left: Cell<u64>,
    ended: Cell<bool>,
}

struct Metered<R> {
    inner: R,
    meter: Rc<Meter>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        if count == 0 && !buffer.is_empty() {
            self.meter.ended.set(true);
        }
        let left = self.meter.left.get().checked_sub(count as u64);
        self.meter.left.set(left.ok_or_else(|| io::Error::other("a header is too long"))?);
        Ok(count)
    }
}
