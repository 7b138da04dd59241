//! A folded network that is not going to change, run on the device it lies on.

use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;
use tch::{Device, Tensor};

use super::cpu::{Inference, Inputs};
use super::layout::{ANCHORS, COORDINATES, INPUT_SIZE, Layout, Variant};
use super::network::{self, Mode, Network, Outputs, to_input};

/// What a network says of some pictures, as plain numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// `[N, 896]`, as in [`Outputs`].
    pub logits: Vec<f32>,
    /// `[N, 896, 16]`, as in [`Outputs`].
    pub coordinates: Vec<f32>,
}

impl Answers {
    /// With coordinates in pixels of [`INPUT_SIZE`], in which training measures, from a network whose input has
    /// `input_size`.
    #[must_use]
    pub fn rescaled(mut self, input_size: usize) -> Self {
        if input_size != INPUT_SIZE {
            let scale = INPUT_SIZE as f32 / input_size as f32;
            self.coordinates.iter_mut().for_each(|coordinate| *coordinate *= scale);
        }
        self
    }
}

impl From<&Outputs> for Answers {
    fn from(outputs: &Outputs) -> Self {
        let [logits, coordinates] =
            [&outputs.logits, &outputs.coordinates].map(|tensor| network::array(tensor).values);
        Self { logits, coordinates }
    }
}

/// Ready to run.
#[derive(Debug)]
pub struct Runner {
    /// Side of the square input, in pixels.
    input_size: usize,
    on: On,
}

#[derive(Debug)]
enum On {
    /// Our own, for the short-range variant on a CPU.
    Engine(Inference),
    /// For all others; one thread at a time, as libtorch wants it.
    Libtorch(Mutex<Network>),
}

impl Runner {
    /// A copy of `folded` as it is now.
    ///
    /// # Panics
    ///
    /// If it has BatchNorm.
    pub fn new(folded: &Network) -> Self {
        assert_eq!(folded.form(), network::Form::Folded, "fold first");
        let layout = folded.layout();
        let on = if is_engines(folded.device(), layout) {
            On::Engine(Inference::new(&network::array(&folded.parameters).values))
        } else {
            let copy = folded.with_numbers(&folded.parameters.copy(), &folded.buffers);
            On::Libtorch(Mutex::new(copy))
        };
        Self { input_size: layout.input_size, on }
    }

    /// Side of the square input, in pixels.
    pub fn input_size(&self) -> usize {
        self.input_size
    }

    /// Runs `[N, side, side, 3]` bytes of RGB.
    pub fn run(&self, pictures: &[u8]) -> Answers {
        match &self.on {
            On::Engine(inference) => on_cpu(inference, pictures),
            On::Libtorch(network) => self.on_libtorch(network, pictures),
        }
    }

    /// Runs pictures of `[side, side, 3]` bytes of RGB together, and calls `answer` with the number of each as soon as
    /// it is through.
    pub fn run_each(&self, pictures: &[&[u8]], answer: impl Fn(usize, Answers) + Sync) {
        match &self.on {
            // Not a libtorch operation among it: they wake OpenMP's threads, which then spin on the cores in use.
            On::Engine(inference) => pictures
                .par_iter()
                .enumerate()
                .for_each(|(number, picture)| answer(number, on_cpu(inference, picture))),
            On::Libtorch(network) => {
                let all = self.on_libtorch(network, &pictures.concat());
                let coordinates = all.coordinates.chunks_exact(ANCHORS * COORDINATES);
                let each = all.logits.chunks_exact(ANCHORS).zip(coordinates);
                for (number, (logits, coordinates)) in each.enumerate() {
                    let (logits, coordinates) = (logits.to_vec(), coordinates.to_vec());
                    answer(number, Answers { logits, coordinates });
                }
            }
        }
    }

    fn on_libtorch(&self, network: &Mutex<Network>, pictures: &[u8]) -> Answers {
        let network = network.lock().unwrap_or_else(PoisonError::into_inner);
        let side = self.input_size as i64;
        let pictures = Tensor::from_slice(pictures).reshape([-1, side, side, 3]);
        let pictures = to_input(&pictures.to_device(network.device()));
        (&tch::no_grad(|| network.forward(&pictures, Mode::Evaluate))).into()
    }
}

/// Whether our own engine runs a network, which is made for the short-range variant on a CPU.
pub fn is_engines(device: Device, layout: &Layout) -> bool {
    device == Device::Cpu && layout.variant == Variant::Short
}

fn on_cpu(inference: &Inference, pictures: &[u8]) -> Answers {
    let pictures = Inputs::from_bytes(pictures);
    let count = pictures.count();
    let mut answers = Answers {
        logits: vec![0.0; count * ANCHORS],
        coordinates: vec![0.0; count * ANCHORS * COORDINATES],
    };
    inference.run(&pictures, &mut answers.logits, &mut answers.coordinates);
    answers
}
