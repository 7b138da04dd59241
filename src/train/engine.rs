//! The network in training, and the untouched one beside it: our own kernels for the short-range network on a CPU,
//! libtorch for all others.

use tch::Tensor;

use super::costs::Said;
use crate::model::cpu::{Inference, Inputs, Training};
use crate::model::layout::{ANCHORS, COORDINATES};
use crate::model::network::{Mode, Network, Outputs, array};
use crate::model::runner::{Runner, is_engines};

/// Where batches run forward and backward.
#[derive(Debug)]
pub enum Engine {
    /// In our own kernels.
    Cpu(Box<Cpu>),
    /// In libtorch, beside the untouched network.
    Device(Box<Runner>),
}

impl Engine {
    /// For a network like this one, beside a folded one on the same device.
    pub fn new(network: &mut Network, reference: &Network) -> Self {
        if is_engines(network.device(), network.layout()) {
            return Self::Cpu(Box::new(Cpu {
                training: Training::new(network.form()),
                reference: Inference::new(&array(&reference.parameters).values),
                gradient: vec![0.0; network.parameters.numel()],
                said: Buffers::default(),
                expected: Buffers::default(),
                fresh: vec![0.0; network.parameters.numel()],
            }));
        }
        network.parameters = network.parameters.set_requires_grad(true);
        Self::Device(Box::new(Runner::new(reference)))
    }

    /// The gradient gathered since this was last called.
    pub fn take_gradient(&mut self, network: &Network) -> Tensor {
        match self {
            Self::Cpu(cpu) => {
                let gradient = Tensor::from_slice(&cpu.gradient);
                cpu.gradient.fill(0.0);
                gradient
            }
            Self::Device(_) => {
                let mut gathered = network.parameters.grad();
                let gradient = gathered.copy();
                let _ = gathered.zero_();
                gradient
            }
        }
    }
}

/// Our own kernels, and room for what they give.
#[derive(Debug)]
pub struct Cpu {
    training: Training,
    /// The untouched network.
    reference: Inference,
    /// `[P]`: gathered since it was last taken.
    gradient: Vec<f32>,
    /// What the network said last.
    said: Buffers,
    /// What the untouched one said.
    expected: Buffers,
    /// The last batch's gradient.
    fresh: Vec<f32>,
}

#[derive(Debug, Default)]
struct Buffers {
    logits: Vec<f32>,
    coordinates: Vec<f32>,
}

impl Buffers {
    fn resize(&mut self, views: usize) {
        self.logits.resize(views * ANCHORS, 0.0);
        self.coordinates.resize(views * ANCHORS * COORDINATES, 0.0);
    }

    fn said(&self) -> Said<'_> {
        Said { logits: &self.logits, coordinates: &self.coordinates }
    }
}

impl Cpu {
    /// Runs a batch through both networks; BatchNorm's running statistics follow.
    pub fn forward(&mut self, network: &mut Network, inputs: &Inputs) {
        let (parameters, mut buffers) = (array(&network.parameters), array(&network.buffers));
        for room in [&mut self.said, &mut self.expected] {
            room.resize(inputs.count());
        }
        let Buffers { logits, coordinates } = &mut self.said;
        let running = &mut buffers.values;
        self.training.forward(&parameters.values, running, inputs, logits, coordinates);
        network.buffers.copy_(&Tensor::from_slice(running));
        let Buffers { logits, coordinates } = &mut self.expected;
        self.reference.run(inputs, logits, coordinates);
    }

    /// What the network said of the last batch, and what the untouched one did.
    pub fn said(&self) -> (Said<'_>, Said<'_>) {
        (self.said.said(), self.expected.said())
    }

    /// Adds `share` of the last batch's gradient; `outputs`: that of what the network said.
    pub fn backward(&mut self, inputs: &Inputs, outputs: Said<'_>, share: f64) {
        let fresh = &mut self.fresh;
        self.training.backward(inputs, outputs.logits, outputs.coordinates, fresh);
        let share = share as f32;
        self.gradient.iter_mut().zip(fresh).for_each(|(sum, value)| *sum += *value * share);
    }
}

/// Runs a batch through the network in libtorch, and through the untouched one. Coordinates are in pixels of
/// [`INPUT_SIZE`](crate::model::layout::INPUT_SIZE).
pub fn forward_on_device(
    network: &Network,
    reference: &Runner,
    pictures: &Tensor,
) -> (Outputs, Outputs) {
    let size = reference.input_size();
    let found = network.forward(pictures, Mode::Train).rescaled(size);
    (found, reference.run_on_device(pictures).rescaled(size))
}
