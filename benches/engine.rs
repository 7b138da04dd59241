//! CPU time of the parts of the native engine, on one thread: for work on the kernels, even on a shared machine.
//!
//! ```text
//! cargo bench --bench engine -- [--batch 8] [--rounds 15]
//! ```
//!
//! Reports the least of all rounds, because other programs can only add to it, through the caches.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a program for a terminal")]

use blazetune::model::layout::{ANCHORS, COORDINATES, INPUT_SIZE};
use blazetune::model::native::{Inference, Inputs, Training};
use blazetune::weights::tflite;
use rustix::time::{ClockId, clock_gettime};

fn main() {
    let (mut batch, mut rounds) = (8, 15);
    let mut given = std::env::args().skip(1).filter(|arg| arg != "--bench");
    while let Some(name) = given.next() {
        let value = given.next().and_then(|value| value.parse().ok());
        match name.as_str() {
            "--batch" => batch = value.unwrap(),
            "--rounds" => rounds = value.unwrap(),
            _ => panic!("unknown argument {name}"),
        }
    }
    rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global().unwrap();
    run(batch, rounds);
}

fn run(batch: usize, rounds: usize) {
    let bytes: Vec<u8> = (0..batch * INPUT_SIZE * INPUT_SIZE * 3).map(|i| (i * 37) as u8).collect();
    let inputs = Inputs::from_bytes(&bytes);
    let folded = tflite::mediapipe().flat();
    let inference = Inference::new(&folded);
    let mut training = Training::default();
    let (mut logits, mut coordinates) =
        (vec![0.0; batch * ANCHORS], vec![0.0; batch * ANCHORS * COORDINATES]);
    let mut gradient = vec![0.0; folded.len()];
    let mut least = [f64::INFINITY; 3];
    for _ in 0..rounds {
        let times = [
            seconds(&mut || inference.run(&inputs, &mut logits, &mut coordinates)),
            seconds(&mut || {
                training.forward(&folded, &inputs, &mut logits, &mut coordinates);
            }),
            seconds(&mut || training.backward(&inputs, &logits, &coordinates, &mut gradient)),
        ];
        least.iter_mut().zip(times).for_each(|(least, time)| *least = least.min(time));
    }
    let names = ["folded inference", "training, forward", "backward"];
    for (name, seconds) in names.iter().zip(least) {
        println!("{name:20}{:7.3} ms a view", seconds * 1e3 / batch as f64);
    }
}

/// CPU time that `work` takes on this thread.
fn seconds(work: &mut dyn FnMut()) -> f64 {
    let so_far = || {
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
    };
    let before = so_far();
    work();
    so_far() - before
}
