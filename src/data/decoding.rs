//! Decoding many pictures at once, in bounded memory.

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

/// Encoded pictures waiting to be decoded, per thread.
const WAITING: usize = 4;
/// Bytes of pictures being decoded, per thread; and in all, however few threads there are.
const MEMORY_A_THREAD: u64 = 128 << 20;
const MEMORY: u64 = 1 << 30;

/// How decoding a picture ended.
pub(super) enum DecodeOutcome {
    /// It is in the cache.
    Stored(Stored),
    /// Its file is the same as another one, which was decoded.
    CopyOf(usize),
    /// What is wrong with it.
    Bad(String),
}

/// What is known of a picture whose pixels are in the cache.
pub(super) struct Stored {
    /// Its place there.
    pub(super) slot: usize,
    pub(super) width: u32,
    pub(super) height: u32,
    /// How the picture as stored was turned.
    pub(super) orientation: Orientation,
    /// Whether it is of nearly one colour.
    pub(super) is_flat: bool,
    pub(super) letterbox: Letterbox,
    /// SHA-256 of the picture's file.
    pub(super) hash: [u8; 32],
}

/// Second pass over the archive: decodes each of the pictures `names` and writes it to its place in the cache; of
/// identical files, only one. Returns how each ended.
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
        let queue = queue; // When it goes, the threads know that nothing more comes.
        shared.read(archive, names, &mut |task| {
            let _ = queue.send(task); // The receiver lives as long as the threads.
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
    /// Its place in the cache.
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

/// Shared by the reading thread and the decoding threads.
struct Shared<'a> {
    squares: File,
    inputs: File,
    megapixels: u32,
    memory: Memory,
    outcomes: Mutex<Outcomes>,
    /// The slot that a file's hash was first seen for.
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
            // After a stop, drops the rest, so that the reader does not wait forever.
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

/// Reads the pictures that are wanted.
struct PictureReader<'a> {
    shared: &'a Shared<'a>,
    /// Places of the pictures that have not been read yet. Of several with one name, the first is taken.
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

/// Bytes that may be in use at once.
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
