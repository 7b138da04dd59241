//! The network in training, and the untouched one beside it: our own kernels for the short-range network on a CPU,
//! libtorch for all others.

use tch::Tensor;

use super::loss::native::Said;
use super::views::batch::Place;
use crate::model::cpu::{Folding, Inference, Inputs, Training};
use crate::model::layout::{ANCHORS, COORDINATES};
use crate::model::network::{Form, Mode, Network, Outputs, array};
use crate::model::unfold::Fold;
use crate::protocol::train_spec::{TrainSpec, Unfold};

/// Where batches run forward and backward.
#[derive(Debug)]
pub enum Engine {
    /// In our own kernels.
    Cpu(Box<Cpu>),
    /// In libtorch.
    Device(Box<OnDevice>),
}

/// What libtorch needs to know.
#[derive(Debug)]
pub struct OnDevice {
    /// The untouched network.
    reference: Network,
    /// Where BatchNorm's statistics stay as they are; else each batch has its own.
    fold: Option<Fold>,
}

impl Engine {
    /// For a network like this one, beside a folded one on the same device.
    pub fn new(spec: &TrainSpec, place: Place, network: &mut Network, reference: Network) -> Self {
        if place.is_engines {
            // What is left to libtorch is too little to share out, and its threads would wait for more in a loop.
            tch::set_num_threads(1);
            return Self::Cpu(Box::new(Cpu::new(network, &reference)));
        }
        network.parameters = network.parameters.set_requires_grad(true);
        let fold = (spec.unfold == Unfold::Frozen).then(|| Fold::of(network));
        Self::Device(Box::new(OnDevice { reference, fold }))
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
    /// Where the network in training has BatchNorm.
    folding: Option<Folding>,
    /// The untouched network.
    reference: Inference,
    /// The parameters and running statistics as they were in the last forward pass.
    parameters: Vec<f32>,
    buffers: Vec<f32>,
    /// The same of the folded network, and the gradient of these.
    folded: Vec<f32>,
    folded_gradient: Vec<f32>,
    /// The last batch's gradient.
    fresh: Vec<f32>,
    /// `[P]`: gathered since it was last taken.
    gradient: Vec<f32>,
    /// What the network said last.
    said: Buffers,
    /// What the untouched one said.
    expected: Buffers,
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
    fn new(network: &Network, reference: &Network) -> Self {
        let zeros = || vec![0.0; network.parameters.numel()];
        let folding = (network.form() == Form::Unfolded).then(Folding::default);
        let folded = || vec![0.0; reference.parameters.numel()];
        Self {
            training: Training::default(),
            folding,
            reference: Inference::new(&array(&reference.parameters).values),
            parameters: Vec::new(),
            buffers: Vec::new(),
            folded: folded(),
            folded_gradient: folded(),
            fresh: zeros(),
            gradient: zeros(),
            said: Buffers::default(),
            expected: Buffers::default(),
        }
    }

    /// Runs a batch through both networks.
    pub fn forward(&mut self, network: &Network, inputs: &Inputs) {
        for room in [&mut self.said, &mut self.expected] {
            room.resize(inputs.count());
        }
        self.parameters = array(&network.parameters).values;
        self.buffers = array(&network.buffers).values;
        match &self.folding {
            Some(folding) => folding.fold(&self.parameters, &self.buffers, &mut self.folded),
            None => self.folded.clone_from(&self.parameters),
        }
        let Buffers { logits, coordinates } = &mut self.said;
        self.training.forward(&self.folded, inputs, logits, coordinates);
        let Buffers { logits, coordinates } = &mut self.expected;
        self.reference.run(inputs, logits, coordinates);
    }

    /// What the network said of the last batch, and what the untouched one did.
    pub fn said(&self) -> (Said<'_>, Said<'_>) {
        (self.said.said(), self.expected.said())
    }

    /// Adds `share` of the last batch's gradient; `outputs`: that of what the network said.
    pub fn backward(&mut self, inputs: &Inputs, outputs: Said<'_>, share: f64) {
        let folded = &mut self.folded_gradient;
        self.training.backward(inputs, outputs.logits, outputs.coordinates, folded);
        let fresh = match &self.folding {
            Some(folding) => {
                folding.gradient(&self.parameters, &self.buffers, folded, &mut self.fresh);
                &self.fresh
            }
            None => &self.folded_gradient,
        };
        let share = share as f32;
        self.gradient.iter_mut().zip(fresh).for_each(|(sum, value)| *sum += *value * share);
    }
}

impl OnDevice {
    /// Runs a batch through both networks. Coordinates are in pixels of
    /// [`INPUT_SIZE`](crate::model::layout::INPUT_SIZE).
    pub fn forward(&self, network: &Network, pictures: &Tensor) -> (Outputs, Outputs) {
        let size = network.layout().input_size;
        let found = match &self.fold {
            Some(fold) => fold.apply(network).forward(pictures, Mode::Evaluate),
            None => network.forward(pictures, Mode::Train),
        };
        let found = found.rescaled(size);
        let expected = tch::no_grad(|| self.reference.forward(pictures, Mode::Evaluate));
        (found, expected.rescaled(size))
    }
}
