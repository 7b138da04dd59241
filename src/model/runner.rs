//! A folded network that is not going to change, run on the device it lies on.

use tch::{Device, Tensor};

use super::cpu::{Inference, Inputs};
use super::layout::{ANCHORS, COORDINATES, INPUT_SIZE};
use super::network::{self, Mode, Network, Outputs, to_input};

/// Ready to run.
#[derive(Debug)]
pub struct Runner(On);

#[derive(Debug)]
enum On {
    Cpu(Inference),
    Device(Network),
}

impl Runner {
    /// A copy of `folded` as it is now.
    ///
    /// # Panics
    ///
    /// If it has BatchNorm.
    pub fn new(folded: &Network) -> Self {
        assert_eq!(folded.form(), network::Form::Folded, "fold first");
        Self(match folded.device() {
            Device::Cpu => On::Cpu(Inference::new(&network::array(&folded.parameters).values)),
            _ => On::Device(folded.with_numbers(&folded.parameters.copy(), &folded.buffers)),
        })
    }

    /// Runs `[N, 128, 128, 3]` bytes of RGB.
    pub fn run(&self, pictures: &[u8]) -> Outputs {
        match &self.0 {
            On::Cpu(inference) => on_cpu(inference, &Inputs::from_bytes(pictures)),
            On::Device(network) => {
                let side = INPUT_SIZE as i64;
                let pictures = Tensor::from_slice(pictures).reshape([-1, side, side, 3]);
                self.run_on_device(&to_input(&pictures.to_device(network.device())))
            }
        }
    }

    /// Runs pictures in memory, on a CPU.
    ///
    /// # Panics
    ///
    /// If the network is elsewhere.
    pub fn run_in_memory(&self, pictures: &Inputs) -> Outputs {
        let On::Cpu(inference) = &self.0 else { panic!("the network is not on a CPU") };
        on_cpu(inference, pictures)
    }

    /// Runs `[N, 3, 128, 128]`, on a GPU.
    ///
    /// # Panics
    ///
    /// If the network is elsewhere.
    pub fn run_on_device(&self, pictures: &Tensor) -> Outputs {
        let On::Device(network) = &self.0 else { panic!("the network is on a CPU") };
        tch::no_grad(|| network.forward(pictures, Mode::Evaluate))
    }
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
