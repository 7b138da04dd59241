//! The network in training, and the untouched one beside it: on a CPU our own kernels, elsewhere libtorch.

use tch::{Device, Kind, Tensor};

use super::batch::Pixels;
use crate::model::cpu::{Inputs, Training};
use crate::model::layout::{ANCHORS, COORDINATES};
use crate::model::network::{Mode, Network, Outputs, array};
use crate::model::runner::{self, Runner};

/// Runs batches forward and backward.
#[derive(Debug)]
pub struct Engine {
    /// The untouched network.
    reference: Runner,
    cpu: Option<Cpu>,
}

/// On a CPU.
#[derive(Debug)]
struct Cpu {
    training: Training,
    /// `[P]`: gathered since it was last taken.
    gradient: Tensor,
}

impl Engine {
    /// For a network like this one, beside a folded one on the same device.
    pub fn new(network: &mut Network, reference: &Network) -> Self {
        let cpu = (network.device() == Device::Cpu).then(|| Cpu {
            training: Training::new(network.form()),
            gradient: network.parameters.zeros_like(),
        });
        if cpu.is_none() {
            network.parameters = network.parameters.set_requires_grad(true);
        }
        Self { reference: Runner::new(reference), cpu }
    }

    /// What the network says of a batch; BatchNorm's running statistics follow.
    pub fn forward(&mut self, network: &mut Network, pixels: &Pixels) -> Outputs {
        match (&mut self.cpu, pixels) {
            (None, Pixels::Device(pictures)) => network.forward(pictures, Mode::Train),
            (Some(cpu), Pixels::Memory(inputs)) => cpu.forward(network, inputs),
            _ => panic!("the pictures are elsewhere than the network"),
        }
    }

    /// What the untouched network says of it.
    pub fn reference(&self, pixels: &Pixels) -> Outputs {
        match pixels {
            Pixels::Device(pictures) => self.reference.run_on_device(pictures),
            Pixels::Memory(inputs) => self.reference.run_in_memory(inputs),
        }
    }

    /// Adds the gradient of `loss`, which comes of the last forward's `outputs`.
    pub fn backward(&mut self, loss: &Tensor, outputs: &Outputs, pixels: &Pixels) {
        loss.backward();
        if let (Some(cpu), Pixels::Memory(inputs)) = (&mut self.cpu, pixels) {
            cpu.backward(outputs, inputs);
        }
    }

    /// The gradient gathered since this was last called.
    pub fn take_gradient(&mut self, network: &Network) -> Tensor {
        let mut gathered = match &self.cpu {
            Some(cpu) => cpu.gradient.shallow_clone(),
            None => network.parameters.grad(),
        };
        let gradient = gathered.copy();
        let _ = gathered.zero_();
        gradient
    }
}

impl Cpu {
    fn forward(&mut self, network: &mut Network, inputs: &Inputs) -> Outputs {
        let (parameters, mut buffers) = (array(&network.parameters), array(&network.buffers));
        let count = inputs.count() * ANCHORS;
        let (mut logits, mut coordinates) = (vec![0.0; count], vec![0.0; count * COORDINATES]);
        let running = &mut buffers.values;
        self.training.forward(&parameters.values, running, inputs, &mut logits, &mut coordinates);
        network.buffers.copy_(&Tensor::from_slice(running));
        let Outputs { logits, coordinates } = runner::outputs(&logits, &coordinates);
        // The leaves of the graph that the losses make.
        Outputs {
            logits: logits.set_requires_grad(true),
            coordinates: coordinates.set_requires_grad(true),
        }
    }

    fn backward(&mut self, outputs: &Outputs, inputs: &Inputs) {
        let gradient = |of: &Tensor| {
            let gradient = of.grad();
            let defined = if gradient.defined() { gradient } else { of.zeros_like() };
            array(&defined).values
        };
        let (logits, coordinates) = (gradient(&outputs.logits), gradient(&outputs.coordinates));
        let mut into = vec![0.0; self.gradient.numel()];
        self.training.backward(inputs, &logits, &coordinates, &mut into);
        debug_assert_eq!(self.gradient.kind(), Kind::Float);
        self.gradient += Tensor::from_slice(&into);
    }
}
