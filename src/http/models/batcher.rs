//! The thread that runs networks. It processes the pictures of all waiting requests as one batch.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use tokio::sync::oneshot;
use tracing::error;

use crate::eval::detect::{Detector, DetectorOutputs, Letterboxed};

/// Maximum number of pictures per batch; the others wait for the next batch.
const LARGEST: usize = 32;

/// Passes pictures to the thread, which ends when the batcher is dropped. Callers limit how many pictures wait.
#[derive(Debug)]
pub(super) struct Batcher {
    queue: Sender<Task>,
}

/// A waiting picture.
struct Task {
    detector: Arc<Detector>,
    picture: Letterboxed,
    answer: oneshot::Sender<DetectorOutputs>,
}

impl Batcher {
    /// Starts the thread.
    pub(super) fn start() -> Self {
        let (queue, waiting) = channel();
        let thread = thread::Builder::new().name("inference".to_owned());
        thread
            .spawn(move || run(&waiting))
            .expect("a thread can be started when the server starts");
        Self { queue }
    }

    /// Queues a picture. The receiver gets the network's outputs, or an error if the network crashed.
    pub(super) fn submit(
        &self,
        detector: Arc<Detector>,
        picture: Letterboxed,
    ) -> oneshot::Receiver<DetectorOutputs> {
        let (answer, receiver) = oneshot::channel();
        let _ = self.queue.send(Task { detector, picture, answer }); // If the thread is dead, the receiver fails.
        receiver
    }
}

/// Processes the pictures as they arrive. A batch is whatever arrived during the previous one; it is never held back to
/// fill up.
fn run(waiting: &Receiver<Task>) {
    while let Ok(first) = waiting.recv() {
        let mut batch: Vec<Task> =
            [first].into_iter().chain(waiting.try_iter()).take(LARGEST).collect();
        while let Some(task) = batch.first() {
            let detector = task.detector.clone();
            let is_mine = |task: &Task| Arc::ptr_eq(&task.detector, &detector);
            let (mine, others): (Vec<_>, Vec<_>) = batch.into_iter().partition(is_mine);
            answer(&detector, mine);
            batch = others;
        }
    }
}

/// Runs one batch. Each client gets its outputs as soon as its own picture is done, and can send its next picture
/// while the others are still being processed.
fn answer(detector: &Detector, tasks: Vec<Task>) {
    let (pictures, clients): (Vec<_>, Vec<_>) =
        tasks.into_iter().map(|task| (task.picture, Mutex::new(Some(task.answer)))).unzip();
    let reply = |number: usize, answer: DetectorOutputs| {
        let client = clients[number].lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(client) = client {
            let _ = client.send(answer); // Fails if the client has gone.
        }
    };
    let pictures: Vec<&Letterboxed> = pictures.iter().collect();
    if catch_unwind(AssertUnwindSafe(|| detector.run_each(&pictures, reply))).is_err() {
        error!("the network crashed on a batch of {} pictures", pictures.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::tflite;
    use image::{Rgb, RgbImage};

    #[test]
    fn pictures_in_a_batch_get_the_same_outputs_as_alone() {
        let detectors = [0, 1].map(|_| Arc::new(Detector::new(tflite::mediapipe()).unwrap()));
        let picture = |number: u32| {
            let pixel = |x, y| Rgb([(x * number) as u8, (y * 3) as u8, number as u8]);
            Letterboxed::new(&RgbImage::from_fn(40 + number, 50, pixel), 128)
        };
        let batcher = Batcher::start();
        let submit =
            |number: u32| batcher.submit(detectors[number as usize % 2].clone(), picture(number));
        let waiting: Vec<_> = (0..80).map(submit).collect();
        for (number, answer) in (0..80).zip(waiting) {
            let alone = Mutex::default();
            detectors[0].run_each(&[&picture(number)], |_, answer| {
                *alone.lock().unwrap() = Some(answer);
            });
            assert!(answer.blocking_recv().ok() == alone.into_inner().unwrap(), "picture {number}");
        }
    }
}
