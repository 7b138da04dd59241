//! A folded network with fixed weights, ready to run.

#[cfg(feature = "torch")]
use std::sync::{Mutex, PoisonError};

use rayon::prelude::*;

use super::device::{Device, NeedsTorch};
use super::layout::{ANCHORS, COORDINATES, Layout, Variant};
use super::native::{Inference, Inputs};
use super::outputs::Outputs;
use super::tensors::Weights;
#[cfg(feature = "torch")]
use super::torch::{Mode, Network, to_input};

/// A folded network on a device, ready to run.
#[derive(Debug)]
pub struct Runner {
    /// Side of the square input, in pixels.
    input_size: usize,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    /// The native engine, for the short-range variant on a CPU.
    Native(Inference),
    /// libtorch, for everything else. It allows only one thread at a time.
    #[cfg(feature = "torch")]
    Torch(Mutex<Network>),
}

impl Runner {
    /// Prepares to run a network with these weights.
    ///
    /// # Errors
    ///
    /// [`NeedsTorch`] in a build without libtorch, except for the short-range network on a CPU.
    pub fn new(weights: &Weights, device: Device) -> Result<Self, NeedsTorch> {
        let layout = weights.layout();
        let engine = if is_native(device, layout) {
            Engine::Native(Inference::new(&weights.flat()))
        } else {
            Engine::torch(weights, device)?
        };
        Ok(Self { input_size: layout.input_size, engine })
    }

    /// Returns the side of the square input, in pixels.
    pub fn input_size(&self) -> usize {
        self.input_size
    }

    /// Runs the network on `[N, side, side, 3]` bytes of RGB.
    pub fn run(&self, pictures: &[u8]) -> Outputs {
        match &self.engine {
            Engine::Native(inference) => run_native(inference, pictures),
            #[cfg(feature = "torch")]
            Engine::Torch(network) => self.run_torch(network, pictures),
        }
    }

    /// Runs the network on several pictures, each `[side, side, 3]` bytes of RGB. Calls `done` with each picture's
    /// index and outputs as soon as they are ready.
    pub fn run_each(&self, pictures: &[&[u8]], done: impl Fn(usize, Outputs) + Sync) {
        match &self.engine {
            // No libtorch operation may run here: it would wake OpenMP's threads, which then spin on busy cores.
            Engine::Native(inference) => pictures
                .par_iter()
                .enumerate()
                .for_each(|(number, picture)| done(number, run_native(inference, picture))),
            #[cfg(feature = "torch")]
            Engine::Torch(network) => {
                let all = self.run_torch(network, &pictures.concat());
                let coordinates = all.coordinates.chunks_exact(ANCHORS * COORDINATES);
                let each = all.logits.chunks_exact(ANCHORS).zip(coordinates);
                for (number, (logits, coordinates)) in each.enumerate() {
                    let (logits, coordinates) = (logits.to_vec(), coordinates.to_vec());
                    done(number, Outputs { logits, coordinates });
                }
            }
        }
    }

    #[cfg(feature = "torch")]
    fn run_torch(&self, network: &Mutex<Network>, pictures: &[u8]) -> Outputs {
        let network = network.lock().unwrap_or_else(PoisonError::into_inner);
        let side = self.input_size as i64;
        let pictures = tch::Tensor::from_slice(pictures).reshape([-1, side, side, 3]);
        let pictures = to_input(&pictures.to_device(network.device()));
        (&tch::no_grad(|| network.forward(&pictures, Mode::Evaluate))).into()
    }
}

impl Engine {
    #[cfg(feature = "torch")]
    #[expect(clippy::unnecessary_wraps, reason = "a build without libtorch fails here")]
    fn torch(weights: &Weights, device: Device) -> Result<Self, NeedsTorch> {
        Ok(Self::Torch(Mutex::new(Network::folded(weights, device.into()))))
    }

    #[cfg(not(feature = "torch"))]
    fn torch(weights: &Weights, device: Device) -> Result<Self, NeedsTorch> {
        Err(NeedsTorch(match weights.layout().variant {
            _ if device.is_gpu() => "a GPU",
            Variant::Back => "the back camera's network",
            Variant::Short => "this network",
        }))
    }
}

/// Whether the native engine runs a network: it supports only the short-range variant, on a CPU.
pub fn is_native(device: Device, layout: &Layout) -> bool {
    device == Device::Cpu && layout.variant == Variant::Short
}

fn run_native(inference: &Inference, pictures: &[u8]) -> Outputs {
    let pictures = Inputs::from_bytes(pictures);
    let count = pictures.count();
    let mut outputs = Outputs {
        logits: vec![0.0; count * ANCHORS],
        coordinates: vec![0.0; count * ANCHORS * COORDINATES],
    };
    inference.run(&pictures, &mut outputs.logits, &mut outputs.coordinates);
    outputs
}
