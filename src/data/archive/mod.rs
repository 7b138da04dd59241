//! Reads uploaded archives without trusting them.

mod budget;
mod tar;
mod zip;

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, Serialize};

use self::budget::Budget;
use super::names::from_cp437;

/// How much an archive may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveLimits {
    /// Number of files and folders.
    pub entries: u64,
    /// Bytes of all files together, unpacked.
    pub unpacked_bytes: u64,
    /// Bytes of a single file, unpacked.
    pub file_bytes: u64,
}

impl Default for ArchiveLimits {
    fn default() -> Self {
        Self { entries: 2_000_000, unpacked_bytes: 200 << 30, file_bytes: 256 << 20 }
    }
}

/// The reasons why an archive is refused.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It is neither a zip nor a tar.
    #[error("the upload is not a zip, tar or tar.gz archive")]
    Unknown,
    /// It cannot be read to its end.
    #[error("the archive is damaged or cut off; upload it again")]
    Damaged(#[source] io::Error),
    /// An entry of a zip uses an unsupported compression.
    #[error("entry {0:?} of the archive is compressed in an unusual way; pack it as a plain zip")]
    Compression(String),
    /// An entry would be written outside the archive's folder.
    #[error(
        "entry {0:?} of the archive points outside it; pack the files with plain relative paths"
    )]
    Escapes(String),
    /// The labels are in an entry that cannot be used.
    #[error("entry {0:?} of the archive {1}, and it may hold the labels; pack the archive again")]
    Table(String, Odd),
    /// An entry is encrypted.
    #[error("entry {0:?} of the archive is encrypted; pack it without a password")]
    Encrypted(String),
    /// There are too many entries.
    #[error("the archive has more than {0} entries")]
    Entries(u64),
    /// The files together are too large.
    #[error("the archive unpacks to more than {0} bytes")]
    Unpacked(u64),
    /// A file does not fit into memory.
    #[error("entry {0:?} of the archive does not fit into memory")]
    OutOfMemory(String),
    /// The caller stopped the visit.
    #[error("reading the archive was stopped")]
    Stopped,
}

/// An archive on disk, whose content determines its kind.
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

/// The reasons why a single entry cannot be used. The rest of the archive can.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Odd {
    /// It is not a file.
    #[error("is a link or a device")]
    NotAFile,
    /// It unpacks to more bytes than one file may.
    #[error("is larger than {}, the limit for one file", in_words(*.0))]
    TooLarge(u64),
    /// Its content does not match its checksum or cannot be unpacked.
    #[error("is damaged ({0})")]
    Damaged(String),
}

fn in_words(bytes: u64) -> String {
    if bytes < 1 << 20 { format!("{bytes} bytes") } else { format!("{} MB", bytes >> 20) }
}

/// A visitor of an archive's files. Paths have `/` between their parts.
pub(super) trait Visitor {
    /// Returns whether the visitor wants to read a file; breaking ends the visit.
    fn wants(&mut self, path: &str) -> ControlFlow<(), bool>;

    /// Receives a file's content and returns any error of `content`.
    fn file(&mut self, path: &str, content: &mut dyn Read) -> io::Result<()>;

    /// Receives the name of an entry that cannot be used. Returning an error refuses the archive.
    fn odd(&mut self, path: &str, odd: Odd) -> Result<(), ArchiveError>;
}

impl Archive {
    /// Opens an archive and recognises its kind by its first bytes.
    pub(super) fn open(path: &Path, limits: ArchiveLimits) -> Result<Self, ArchiveError> {
        let file = File::open(path).map_err(ArchiveError::Damaged)?;
        let size = file.metadata().map_err(ArchiveError::Damaged)?.len();
        let kind = match &head(&file).map_err(ArchiveError::Damaged)?[..] {
            [b'P', b'K', 3 | 5, 4 | 6, ..] => Kind::Zip,
            [0x1f, 0x8b, ..] => {
                let file = File::open(path).map_err(ArchiveError::Damaged)?;
                let inside = head(MultiGzDecoder::new(file)).map_err(ArchiveError::Damaged)?;
                if tar::is_tar(&inside) { Kind::TarGz } else { return Err(ArchiveError::Unknown) }
            }
            plain if tar::is_tar(plain) => Kind::Tar,
            _ => return Err(ArchiveError::Unknown),
        };
        Ok(Self { path: path.to_owned(), kind, limits, size })
    }

    /// Shows every file to `visitor`, in the archive's order.
    pub(super) fn visit(&self, visitor: &mut dyn Visitor) -> Result<(), ArchiveError> {
        let file = BufReader::new(File::open(&self.path).map_err(ArchiveError::Damaged)?);
        let mut budget = Budget::new(self.limits, self.size);
        match self.kind {
            Kind::Zip => zip::visit(file, &mut budget, visitor),
            Kind::Tar => tar::visit(file, &mut budget, visitor),
            Kind::TarGz => tar::visit(MultiGzDecoder::new(file), &mut budget, visitor),
        }
    }
}

fn head(file: impl Read) -> io::Result<Vec<u8>> {
    let mut head = Vec::new();
    file.take(512).read_to_end(&mut head)?;
    Ok(head)
}

/// Decodes a name in an archive: as UTF-8 or else as CP437, from which other encodings can be recovered later.
fn decoded(name: &[u8]) -> String {
    let name = std::str::from_utf8(name).map_or_else(|_| from_cp437(name), str::to_owned);
    name.replace('\\', "/")
}

/// Normalizes a path in the archive; `None` for files that operating systems add (`__MACOSX`, dot files).
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_normalized() {
        let plain = |name| plain_path(name).unwrap();
        assert_eq!(plain("./a//b.jpg").as_deref(), Some("a/b.jpg"));
        assert_eq!(plain("..a/b..jpg").as_deref(), None, "a dot file, but inside the archive");
        assert_eq!(plain("a/b..jpg").as_deref(), Some("a/b..jpg"));
        for added in ["./", "__MACOSX/._a.jpg", "a/.DS_Store", ".git/a.jpg"] {
            assert_eq!(plain(added), None, "{added}");
        }
    }

    #[test]
    fn paths_that_lead_outside_are_refused() {
        for name in ["/etc/a.jpg", "../a.jpg", "a/../../b.jpg", "C:/a.jpg", "a\0.jpg", ".."] {
            assert!(matches!(plain_path(name), Err(ArchiveError::Escapes(_))), "{name}");
        }
    }
}
