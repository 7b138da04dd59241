//! Decodes many pictures in parallel, in bounded memory.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use image::metadata::Orientation;
use sha2::{Digest, Sha256};

use super::archive::{Archive, ArchiveError, Odd, Visitor};
use super::cache::{INPUTS, SQUARES};
use super::decode::{self, Decoded};
use super::options::{ImportError, ImportOptions, ImportProgress, OnProgress};
use crate::geometry::Letterbox;

/// How many encoded pictures may wait to be decoded, per thread.
const WAITING: usize = 4;
/// Limit on the memory for decoding, in bytes per thread.
const MEMORY_A_THREAD: u64 = 128 << 20;
/// Lower bound of the total limit, in bytes, for few threads.
const MEMORY: u64 = 1 << 30;

/// How decoding a picture ended.
pub(super) enum DecodeOutcome {
    /// It is in the cache.
    Stored(Stored),
    /// Its file is identical to that of this slot, which was decoded.
    CopyOf(usize),
    /// What is wrong with it.
    Bad(String),
}

/// What is known about a picture whose pixels are in the cache.
pub(super) struct Stored {
    /// Its slot in the cache.
    pub(super) slot: usize,
    pub(super) width: u32,
    pub(super) height: u32,
    /// EXIF orientation of the stored picture.
    pub(super) orientation: Orientation,
    /// Whether it is nearly all one colour.
    pub(super) is_flat: bool,
    pub(super) letterbox: Letterbox,
    /// SHA-256 of the picture's file.
    pub(super) hash: [u8; 32],
}

/// Makes the second pass over the archive: decodes the pictures `names` and writes each to its slot in the cache. Of
/// identical files, it decodes only one. Returns the outcome for each picture.
pub(super) fn decode_all(
    archive: &Archive,
    names: &[&str],
    work: &Path,
    options: &ImportOptions,
    progress: &OnProgress<'_>,
) -> Result<Vec<DecodeOutcome>, ImportError> {
    let threads = options.threads.max(1);
    let shared = Shared {
        squares: SQUARES.create(work).map_err(ImportError::of_disk)?,
        inputs: INPUTS.create(work).map_err(ImportError::of_disk)?,
        megapixels: options.megapixels,
        memory: Memory::new(MEMORY.max(MEMORY_A_THREAD * threads as u64)),
        outcomes: Mutex::new(Outcomes { of: names.iter().map(|_| None).collect(), done: 0 }),
        first_of: Mutex::default(),
        stopped: Mutex::new(None),
        progress,
    };
    let (queue, waiting) = sync_channel(threads * WAITING);
    let waiting = Mutex::new(waiting);
    let visited = std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| shared.work(&waiting));
        }
        let queue = queue; // Dropping it tells the threads that no more tasks come.
        shared.read(archive, names, &mut |task| {
            let _ = queue.send(task); // The receiver outlives this closure.
        })
    });
    if let Some(error) = lock(&shared.stopped).take() {
        return Err(error);
    }
    visited?;
    shared.squares.sync_all().map_err(ImportError::of_disk)?;
    shared.inputs.sync_all().map_err(ImportError::of_disk)?;
    let outcomes = std::mem::take(&mut lock(&shared.outcomes).of);
    let missing = || DecodeOutcome::Bad("is missing".to_owned());
    Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or_else(missing)).collect())
}

/// A picture to decode.
struct Task {
    /// Its slot in the cache.
    slot: usize,
    bytes: Vec<u8>,
    /// Memory that is reserved for it.
    memory: u64,
}

struct Outcomes {
    /// The outcomes, by slot.
    of: Vec<Option<DecodeOutcome>>,
    done: usize,
}

/// State that the reading thread and the decoding threads share.
struct Shared<'a> {
    squares: File,
    inputs: File,
    megapixels: u32,
    memory: Memory,
    outcomes: Mutex<Outcomes>,
    /// The first slot that each file's hash was seen for.
    first_of: Mutex<HashMap<[u8; 32], usize>>,
    /// Why the work stopped, if it did.
    stopped: Mutex<Option<ImportError>>,
    progress: &'a OnProgress<'a>,
}

impl Shared<'_> {
    /// Reads the pictures, in the archive's order.
    fn read(
        &self,
        archive: &Archive,
        names: &[&str],
        send: &mut dyn FnMut(Task),
    ) -> Result<(), ImportError> {
        let slots = names.iter().enumerate().map(|(slot, name)| (*name, slot)).collect();
        archive.visit(&mut PictureReader { shared: self, slots, send })?;
        Ok(())
    }

    /// Decodes waiting pictures until no more come.
    fn work(&self, waiting: &Mutex<Receiver<Task>>) {
        loop {
            let next = lock(waiting).recv();
            let Ok(Task { slot, bytes, memory }) = next else { return };
            // After a stop, the rest is dropped, so that the reader does not wait forever.
            if lock(&self.stopped).is_none()
                && let Err(error) = self.decode(slot, &bytes)
            {
                *lock(&self.stopped) = Some(error);
            }
            drop(bytes);
            self.memory.give_back(memory);
        }
    }

    fn decode(&self, slot: usize, bytes: &[u8]) -> Result<(), ImportError> {
        let outcome = self.store(slot, bytes).map_err(ImportError::of_disk)?;
        let mut outcomes = lock(&self.outcomes);
        outcomes.of[slot] = Some(outcome);
        outcomes.done += 1;
        let progress = ImportProgress { done: outcomes.done, total: outcomes.of.len() };
        drop(outcomes);
        match (self.progress)(progress) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(ImportError::Cancelled),
        }
    }

    fn store(&self, slot: usize, bytes: &[u8]) -> io::Result<DecodeOutcome> {
        let hash = Sha256::digest(bytes).into();
        let first = *lock(&self.first_of).entry(hash).or_insert(slot);
        if first != slot {
            return Ok(DecodeOutcome::CopyOf(first));
        }
        let decoded = match decode::decode(bytes, self.megapixels) {
            Ok(decoded) => decoded,
            Err(error) => return Ok(DecodeOutcome::Bad(error.to_string())),
        };
        SQUARES.write(&self.squares, slot, &decoded.square)?;
        INPUTS.write(&self.inputs, slot, &decoded.input)?;
        let Decoded { width, height, orientation, is_flat, letterbox, .. } = decoded;
        let stored = Stored { slot, width, height, orientation, is_flat, letterbox, hash };
        Ok(DecodeOutcome::Stored(stored))
    }
}

/// The visitor that reads the pictures to decode.
struct PictureReader<'a> {
    shared: &'a Shared<'a>,
    /// Slots of the pictures that have not been read yet. Of several with the same name, the first is used.
    slots: HashMap<&'a str, usize>,
    send: &'a mut dyn FnMut(Task),
}

impl Visitor for PictureReader<'_> {
    fn wants(&mut self, path: &str) -> ControlFlow<(), bool> {
        match *lock(&self.shared.stopped) {
            Some(_) => ControlFlow::Break(()),
            None => ControlFlow::Continue(self.slots.contains_key(path)),
        }
    }

    fn file(&mut self, path: &str, content: &mut dyn Read) -> io::Result<()> {
        let Some(&slot) = self.slots.get(path) else { return Ok(()) };
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes)?;
        self.slots.remove(path);
        let memory = decode::memory(&bytes, self.shared.megapixels);
        self.shared.memory.take(memory);
        (self.send)(Task { slot, bytes, memory });
        Ok(())
    }

    fn odd(&mut self, path: &str, odd: Odd) -> Result<(), ArchiveError> {
        if odd != Odd::NotAFile
            && let Some(slot) = self.slots.remove(path)
        {
            lock(&self.shared.outcomes).of[slot] = Some(DecodeOutcome::Bad(odd.to_string()));
        }
        Ok(())
    }
}

/// A limit on the bytes in use at any time.
struct Memory {
    most: u64,
    used: Mutex<u64>,
    given_back: Condvar,
}

impl Memory {
    fn new(most: u64) -> Self {
        Self { most, used: Mutex::new(0), given_back: Condvar::new() }
    }

    /// Waits until there is room; a picture larger than the whole budget runs alone.
    fn take(&self, bytes: u64) {
        let mut used = lock(&self.used);
        while *used > 0 && *used + bytes > self.most {
            used = self.given_back.wait(used).unwrap_or_else(PoisonError::into_inner);
        }
        *used += bytes;
    }

    fn give_back(&self, bytes: u64) {
        *lock(&self.used) -= bytes;
        self.given_back.notify_one();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
