//! Kinds of failure. The kind decides whether a retry can help.

use std::io;

use serde::{Deserialize, Serialize};

use crate::disk;

/// The kind of failure that ended a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The loss or the weights are no longer finite.
    Diverged,
    /// The data set cannot be used.
    BadData,
    /// A model's weights cannot be used.
    BadWeights,
    /// The checkpoint to continue from is missing or damaged.
    BadCheckpoint,
    /// The requested device is not available.
    NoDevice,
    /// A GPU stopped responding.
    DeviceLost,
    /// The GPU or the machine ran out of memory.
    OutOfMemory,
    /// The disk is full.
    DiskFull,
    /// Reading or writing failed for another reason.
    DiskError,
    /// The job's folder is missing.
    NoFolder,
    /// A bug in Blazetune.
    Internal,
    /// The worker was killed.
    Killed,
    /// Another signal terminated the worker.
    Crashed,
    /// The worker exited without a report.
    Exited,
    /// The worker made no progress.
    Hung,
    /// The worker reported something that cannot be parsed.
    Nonsense,
    /// The worker could not be started.
    NotStarted,
}

/// Phrases in the error messages of libtorch and the allocator when memory runs out.
const MEMORY: [&str; 4] =
    ["out of memory", "can't allocate memory", "memory allocation of", "std::bad_alloc"];
/// Phrases in libtorch's error messages when a GPU stops responding.
const DEVICE: [&str; 3] = ["CUDA error", "CUDA driver", "NCCL"];

/// Exit codes of a worker that cannot write its report: the values of `ENOSPC` and `EIO`.
const EXIT_CODES: [(Cause, u8); 2] = [(Cause::DiskFull, 28), (Cause::DiskError, 5)];

impl Cause {
    /// Returns the cause that a panic message or a worker's last output names; `None` if it names none.
    pub fn of_words(text: &str) -> Option<Self> {
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        if has(&MEMORY) {
            Some(Self::OutOfMemory)
        } else {
            has(&DEVICE).then_some(Self::DeviceLost)
        }
    }

    /// Returns the cause of a file system error.
    pub fn of_io(error: &io::Error) -> Self {
        match error.kind() {
            _ if disk::is_full(error) => Self::DiskFull,
            io::ErrorKind::NotFound => Self::NoFolder,
            _ => Self::DiskError,
        }
    }

    /// Returns the exit code of a worker that cannot write its report.
    pub fn exit_code(self) -> u8 {
        EXIT_CODES.into_iter().find(|&(cause, _)| cause == self).map_or(1, |(_, code)| code)
    }

    /// Returns the cause for a worker that ended with this exit code.
    pub fn of_exit_code(code: i32) -> Self {
        let is_it = |&(_, known): &(Self, u8)| i32::from(known) == code;
        EXIT_CODES.into_iter().find(is_it).map_or(Self::Exited, |(cause, _)| cause)
    }

    /// Whether an immediate retry from the last checkpoint can succeed.
    pub fn may_pass(self) -> bool {
        match self {
            Self::DeviceLost
            | Self::OutOfMemory
            | Self::NoFolder
            | Self::Killed
            | Self::Crashed
            | Self::Exited
            | Self::Hung
            | Self::Nonsense
            | Self::NotStarted => true,
            Self::Diverged
            | Self::BadData
            | Self::BadWeights
            | Self::BadCheckpoint
            | Self::NoDevice
            | Self::DiskFull
            | Self::DiskError
            | Self::Internal => false,
        }
    }

    /// Whether a retry can succeed once someone has fixed the cause.
    pub fn can_be_mended(self) -> bool {
        self.may_pass() || matches!(self, Self::NoDevice | Self::DiskFull | Self::DiskError)
    }

    /// Whether the disk caused the failure.
    pub fn is_of_disk(self) -> bool {
        matches!(self, Self::DiskFull | Self::DiskError)
    }

    /// Returns the cause's name in JSON and in the database.
    pub fn name(self) -> String {
        let name = serde_json::to_value(self).ok();
        name.and_then(|name| name.as_str().map(str::to_owned)).unwrap_or_default()
    }

    /// Returns the cause with this name.
    pub fn named(name: &str) -> Option<Self> {
        serde_json::from_value(name.into()).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_and_error_numbers_determine_the_cause() {
        let words = |text| Cause::of_words(text);
        assert_eq!(words("CUDA out of memory. Tried to allocate"), Some(Cause::OutOfMemory));
        assert_eq!(words("memory allocation of 64 bytes failed"), Some(Cause::OutOfMemory));
        assert_eq!(words("CUDA error: unspecified launch failure"), Some(Cause::DeviceLost));
        assert_eq!(words("index out of bounds"), None);
        let errno = |number| Cause::of_io(&io::Error::from_raw_os_error(number));
        assert_eq!([28, 122, 5, 30, 2].map(errno), {
            use Cause::{DiskError, DiskFull, NoFolder};
            [DiskFull, DiskFull, DiskError, DiskError, NoFolder]
        });
    }

    #[test]
    fn a_worker_that_cannot_report_exits_with_a_code_for_the_cause() {
        for cause in [Cause::DiskFull, Cause::DiskError] {
            assert_eq!(Cause::of_exit_code(cause.exit_code().into()), cause);
        }
        assert_eq!(Cause::of_exit_code(1), Cause::Exited);
        assert_eq!(Cause::named(&Cause::OutOfMemory.name()), Some(Cause::OutOfMemory));
    }
}
