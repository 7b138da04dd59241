//! A folded network that is not going to change, run on the device it lies on.

use std::sync::{Mutex, PoisonError};

use tch::{Device, Tensor};

use super::cpu::{Inference, Inputs};
use super::layout::{ANCHORS, COORDINATES, Layout, Variant};
use super::network::{self, Mode, Network, Outputs, to_input};

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
    pub fn run(&self, pictures: &[u8]) -> Outputs {
        match &self.on {
            On::Engine(inference) => on_cpu(inference, &Inputs::from_bytes(pictures)),
            On::Libtorch(network) => {
                let network = network.lock().unwrap_or_else(PoisonError::into_inner);
                let side = self.input_size as i64;
                let pictures = Tensor::from_slice(pictures).reshape([-1, side, side, 3]);
                on_libtorch(&network, &to_input(&pictures.to_device(network.device())))
            }
        }
    }
}

/// Whether our own engine runs a network, which is made for the short-range variant on a CPU.
pub fn is_engines(device: Device, layout: &Layout) -> bool {
    device == Device::Cpu && layout.variant == Variant::Short
}

fn on_libtorch(network: &Network, pictures: &Tensor) -> Outputs {
    tch::no_grad(|| network.forward(pictures, Mode::Evaluate))
}

fn on_cpu(inference: &Inference, pictures: &Inputs) -> Outputs {
    let count = pictures.count();
    let mut logits = vec![0.0; count * ANCHORS];
    let mut coordinates = vec![0.0; count * ANCHORS * COORDINATES];
    inference.run(pictures, &mut logits, &mut coordinates);
    outputs(&logits, &coordinates)
}

/// As tensors.
pub fn outputs(logits: &[f32], coordinates: &[f32]) -> Outputs {
    let (anchors, numbers) = (ANCHORS as i64, COORDINATES as i64);
    Outputs {
        logits: Tensor::from_slice(logits).reshape([-1, anchors]),
        coordinates: Tensor::from_slice(coordinates).reshape([-1, anchors, numbers]),
    }
}
