//! Reading an uploaded archive without trusting it.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use zip::result::ZipError;

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArchiveLimits {
    /// Files and folders.
    pub entries: u64,
    /// All files together, unpacked.
    pub unpacked_bytes: u64,
    /// One file.
    pub file_bytes: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { entries: 2_000_000, unpacked_bytes: 200 << 30, file_bytes: 256 << 20 }
    }
}

/// Unpacked bytes an archive may have for each of its own before it counts as a bomb, and how
/// many it may have regardless.
const MAX_RATIO: u64 = 200;
const SMALL: u64 = 64 << 20;

/// An archive that is refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Neither zip nor tar.
    #[error("the upload is not a zip, tar or tar.gz archive")]
    Unknown,
    /// It cannot be read to its end.
    #[error("the archive is damaged or cut off; upload it again")]
    Damaged(#[source] io::Error),
    /// An entry would be written outside the archive's folder.
    #[error(
        "entry {0:?} of the archive points outside it; pack the files with plain relative paths"
    )]
    Escapes(String),
    /// An entry is a link or a device.
    #[error("entry {0:?} of the archive is a link or a device; pack the files themselves")]
    NotAFile(String),
    /// An entry is encrypted.
    #[error("entry {0:?} of the archive is encrypted; pack it without a password")]
    Encrypted(String),
    /// There are too many.
    #[error("the archive has more than {0} entries")]
    Entries(u64),
    /// One is too large.
    #[error("entry {0:?} of the archive is larger than {1} bytes")]
    FileSize(String, u64),
    /// All together are too large.
    #[error("the archive unpacks to more than {0} bytes")]
    Unpacked(u64),
}

/// An archive on disk, whose kind is told by its content.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    path: PathBuf,
    kind: Kind,
    limits: ArchiveLimits,
    size: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Zip,
    Tar,
    TarGz,
}

/// What a visitor does with one file: its path with `/` between its parts, and its content.
pub(super) type Visitor<'a> = dyn FnMut(&str, &mut dyn Read) -> io::Result<()> + 'a;

impl Archive {
    /// Looks at the first bytes.
    pub(super) fn open(path: &Path, limits: ArchiveLimits) -> Result<Self, ArchiveError> {
        let mut file = File::open(path).map_err(ArchiveError::Damaged)?;
        let mut head = Vec::new();
        file.by_ref().take(512).read_to_end(&mut head).map_err(ArchiveError::Damaged)?;
        let kind = match &head[..] {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Kind::Zip,
            [0x1f, 0x8b, ..] => Kind::TarGz,
            tar if tar.get(257..262) == Some(b"ustar") => Kind::Tar,
            _ => return Err(ArchiveError::Unknown),
        };
        let size = file.metadata().map_err(ArchiveError::Damaged)?.len();
        Ok(Self { path: path.to_owned(), kind, limits, size })
    }

    /// Shows every file to `visit`, in the archive's order. `wanted` picks by path; what it does
    /// not want is not unpacked where that can be helped.
    pub(super) fn visit(
        &self,
        wanted: &dyn Fn(&str) -> bool,
        visit: &mut Visitor<'_>,
    ) -> Result<(), ArchiveError> {
        let file = BufReader::new(File::open(&self.path).map_err(ArchiveError::Damaged)?);
        let mut budget = Budget { limits: self.limits, archive: self.size, entries: 0, bytes: 0 };
        match self.kind {
            Kind::Zip => visit_zip(file, &mut budget, wanted, visit),
            Kind::Tar => visit_tar(file, &mut budget, wanted, visit),
            Kind::TarGz => visit_tar(MultiGzDecoder::new(file), &mut budget, wanted, visit),
        }
    }
}

fn visit_zip(
    file: impl Read + Seek,
    budget: &mut Budget,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut Visitor<'_>,
) -> Result<(), ArchiveError> {
    let damaged = |error: ZipError| ArchiveError::Damaged(error.into());
    let mut zip = zip::ZipArchive::new(file).map_err(damaged)?;
    for index in 0..zip.len() {
        let raw = zip.by_index_raw(index).map_err(damaged)?;
        let (name, encrypted) = (raw.name().replace('\\', "/"), raw.encrypted());
        let (is_dir, is_link) = (raw.is_dir(), raw.is_symlink());
        drop(raw);
        budget.entry()?;
        let Some(path) = plain_path(&name)? else { continue };
        if is_link {
            return Err(ArchiveError::NotAFile(name));
        }
        if is_dir || !wanted(&path) {
            continue;
        }
        if encrypted {
            return Err(ArchiveError::Encrypted(name));
        }
        let mut entry = zip.by_index(index).map_err(damaged)?;
        budget.read(&path, &mut entry, visit)?;
    }
    Ok(())
}

fn visit_tar(
    file: impl Read,
    budget: &mut Budget,
    wanted: &dyn Fn(&str) -> bool,
    visit: &mut Visitor<'_>,
) -> Result<(), ArchiveError> {
    let mut tar = tar::Archive::new(file);
    for entry in tar.entries().map_err(ArchiveError::Damaged)? {
        let mut entry = entry.map_err(ArchiveError::Damaged)?;
        budget.entry()?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let kind = entry.header().entry_type();
        if kind.is_pax_global_extensions() {
            continue;
        }
        let path = plain_path(&name)?;
        if !(kind.is_file() || kind.is_dir()) {
            return Err(ArchiveError::NotAFile(name));
        }
        // Passing over a file unpacks it all the same, so it counts.
        budget.add(&name, entry.size())?;
        match path {
            Some(path) if kind.is_file() && wanted(&path) => {
                visit(&path, &mut entry).map_err(ArchiveError::Damaged)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// A path that stays inside; `None` for what systems add on their own (`__MACOSX`, dot files).
fn plain_path(name: &str) -> Result<Option<String>, ArchiveError> {
    let escapes = name.starts_with('/')
        || name.contains('\0')
        || name.as_bytes().get(1) == Some(&b':')
        || name.split('/').any(|part| part == "..");
    if escapes {
        return Err(ArchiveError::Escapes(name.to_owned()));
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !matches!(*part, "" | ".")).collect();
    let added = parts.iter().any(|part| part.starts_with('.') || *part == "__MACOSX");
    Ok((!added && !parts.is_empty()).then(|| parts.join("/")))
}

/// What may still be unpacked.
struct Budget {
    limits: ArchiveLimits,
    archive: u64,
    entries: u64,
    bytes: u64,
}

impl Budget {
    fn entry(&mut self) -> Result<(), ArchiveError> {
        self.entries += 1;
        if self.entries > self.limits.entries {
            return Err(ArchiveError::Entries(self.limits.entries));
        }
        Ok(())
    }

    fn add(&mut self, name: &str, bytes: u64) -> Result<(), ArchiveError> {
        if bytes > self.limits.file_bytes {
            return Err(ArchiveError::FileSize(name.to_owned(), self.limits.file_bytes));
        }
        self.bytes += bytes;
        let most = self.limits.unpacked_bytes.min(self.archive * MAX_RATIO + SMALL);
        if self.bytes > most { Err(ArchiveError::Unpacked(most)) } else { Ok(()) }
    }

    /// Sizes that a zip declares are not believed: bytes are counted as they come.
    fn read(
        &mut self,
        name: &str,
        entry: &mut dyn Read,
        visit: &mut Visitor<'_>,
    ) -> Result<(), ArchiveError> {
        let mut counted = Counted { inner: entry.take(self.limits.file_bytes + 1), bytes: 0 };
        let visited = visit(name, &mut counted);
        self.add(name, counted.bytes)?;
        visited.map_err(ArchiveError::Damaged)
    }
}

struct Counted<R> {
    inner: R,
    bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.bytes += count as u64;
        Ok(count)
    }
}
