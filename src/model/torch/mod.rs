//! The network in libtorch: a stem, residual blocks and four heads.
//!
//! Source: BlazeFace, <https://arxiv.org/abs/1907.05047>, and `MediaPipe`'s
//! `face_detection_short_range.tflite`.

pub mod anchors;
pub mod fold;

use tch::{Device, Kind, Tensor};

use super::layout::{ANCHORS, COORDINATES, Conv, EPSILON, INPUT_SIZE, Layout, Role};
use super::numbers::Numbers;
use super::outputs::Outputs;
use super::slots::{Form, slots};
use super::tensors::{Array, Weights};

/// Weight of each new batch's statistics in the running statistics.
const MOMENTUM: f64 = 0.1;

/// The statistics that BatchNorm uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The batch's own statistics, which the running statistics follow. Convolutions before `from` do not train and use
    /// the running statistics.
    Train {
        /// Index of the first convolution that trains, in the network's order.
        from: usize,
    },
    /// The running statistics.
    Evaluate,
}

/// The heads' outputs, as tensors.
#[derive(Debug)]
pub struct OutputTensors {
    /// `[N, 896]`: each anchor's logit for a face.
    pub logits: Tensor,
    /// `[N, 896, 16]`: x, y, w, h, then x, y of six keypoints, in pixels of the input, relative to the anchor's centre.
    pub coordinates: Tensor,
}

impl OutputTensors {
    /// Converts coordinates from pixels of an `input_size` input to pixels of an [`INPUT_SIZE`] input, the unit that
    /// training uses.
    #[must_use]
    pub fn rescaled(self, input_size: usize) -> Self {
        if input_size == INPUT_SIZE {
            return self;
        }
        let scale = INPUT_SIZE as f64 / input_size as f64;
        Self { coordinates: self.coordinates * scale, ..self }
    }
}

impl From<&OutputTensors> for Outputs {
    fn from(outputs: &OutputTensors) -> Self {
        let [logits, coordinates] =
            [&outputs.logits, &outputs.coordinates].map(|tensor| array(tensor).values);
        Self { logits, coordinates }
    }
}

/// The network's numbers in two flat buffers, so that an optimizer step takes only a handful of operations.
#[derive(Debug)]
pub struct Network {
    form: Form,
    layout: &'static Layout,
    convs: Vec<Conv>,
    shapes: Vec<Vec<i64>>,
    /// `[P]`: each convolution's weight and bias, or its weight, γ and β. The autograd graph's only leaf.
    pub parameters: Tensor,
    /// `[B]`: each BatchNorm's running mean and variance; empty without BatchNorm.
    pub buffers: Tensor,
}

impl Network {
    /// Creates the network on `device`.
    pub fn new(numbers: &Numbers, device: Device) -> Self {
        let Numbers { form, layout, parameters, buffers } = numbers;
        let tensor = |values: &[f32]| Tensor::from_slice(values).to_device(device);
        Self::over(*form, layout, tensor(parameters), tensor(buffers))
    }

    /// Creates the network in its published form on `device`.
    pub fn folded(weights: &Weights, device: Device) -> Self {
        Self::new(&Numbers::folded(weights), device)
    }

    /// Creates the published form from a tensor of parameters, `[P]`, and keeps the tensor's autograd graph.
    pub(super) fn of_folded(layout: &'static Layout, parameters: Tensor) -> Self {
        let buffers = Tensor::zeros([0], (Kind::Float, parameters.device()));
        Self::over(Form::Folded, layout, parameters, buffers)
    }

    fn over(form: Form, layout: &'static Layout, parameters: Tensor, buffers: Tensor) -> Self {
        let convs = layout.convs();
        let shape = |lengths: &[usize]| lengths.iter().map(|&length| length as i64).collect();
        let shapes = convs.iter().zip(slots(layout, form)).flat_map(|(conv, slot)| {
            let channels = &conv.shape[..1];
            let gamma = slot.gamma.map(|_| shape(channels));
            [Some(shape(&conv.shape)), gamma, Some(shape(channels))].into_iter().flatten()
        });
        Self { form, layout, shapes: shapes.collect(), convs, parameters, buffers }
    }

    /// Copies the numbers to host memory.
    pub fn numbers(&self) -> Numbers {
        let [parameters, buffers] =
            [&self.parameters, &self.buffers].map(|flat| array(flat).values);
        Numbers { form: self.form, layout: self.layout, parameters, buffers }
    }

    /// Returns the same network with different numbers, such as their moving average.
    #[must_use]
    pub fn with_numbers(&self, parameters: &Tensor, buffers: &Tensor) -> Self {
        Self {
            form: self.form,
            layout: self.layout,
            convs: self.convs.clone(),
            shapes: self.shapes.clone(),
            parameters: parameters.detach(),
            buffers: buffers.detach(),
        }
    }

    /// Returns the form: with or without BatchNorm.
    pub fn form(&self) -> Form {
        self.form
    }

    /// Returns the variant's layout.
    pub fn layout(&self) -> &'static Layout {
        self.layout
    }

    /// Returns the convolutions, in the order of the numbers.
    pub fn convs(&self) -> &[Conv] {
        &self.convs
    }

    /// Returns the device that holds the numbers.
    pub fn device(&self) -> Device {
        self.parameters.device()
    }

    /// Returns each parameter as a slice of the flat buffer, without copying.
    pub fn pieces(&self) -> Vec<Tensor> {
        let sizes: Vec<i64> = self.shapes.iter().map(|shape| shape.iter().product()).collect();
        let views = self.parameters.split_with_sizes(&sizes, 0);
        views.iter().zip(&self.shapes).map(|(view, shape)| view.view(shape.as_slice())).collect()
    }

    /// Returns each BatchNorm's running mean and variance as slices of the flat buffer, without copying.
    pub fn statistics(&self) -> Vec<Tensor> {
        if self.form == Form::Folded {
            return Vec::new();
        }
        let channels = self.convs.iter().filter(|conv| conv.role != Role::Head);
        let sizes: Vec<i64> =
            channels.flat_map(|conv| [conv.shape[0] as i64, conv.shape[0] as i64]).collect();
        self.buffers.split_with_sizes(&sizes, 0)
    }

    /// Runs the network on `[N, 3, side, side]` pictures of the layout's input size, RGB / 127.5 − 1. Pictures
    /// with channels last in memory run fastest.
    pub fn forward(&self, pictures: &Tensor, mode: Mode) -> OutputTensors {
        self.forward_observed(pictures, mode, &mut |_, _| ())
    }

    /// Like [`Network::forward`], but calls `observe` with each convolution's index and output.
    fn forward_observed(
        &self,
        pictures: &Tensor,
        mode: Mode,
        observe: &mut dyn FnMut(usize, &Tensor),
    ) -> OutputTensors {
        let mut layers = Layers::new(self, mode, observe);
        let mut xs = layers.next(pictures).relu_(); // [N, 24, 64, 64]
        let mut branch = None;
        for (block, &(outputs, stride)) in self.layout.blocks.iter().enumerate() {
            let inputs = xs.size()[1];
            let depthwise = layers.next(&xs);
            let mut residual = layers.next(&depthwise);
            if block >= self.layout.shortcuts {
                xs = residual.relu_();
                continue;
            }
            let pooled = match stride {
                1 => xs,
                _ => xs.max_pool2d([2, 2], [2, 2], [0, 0], [1, 1], false),
            };
            let extra = outputs as i64 - inputs;
            // Adding to a slice of the residual would be slower: its gradient would be copied three times.
            let shortcut =
                if extra > 0 { pooled.constant_pad_nd([0, 0, 0, 0, 0, extra]) } else { pooled };
            xs = residual.g_add_(&shortcut).relu_();
            if block + 1 == self.layout.first_blocks {
                branch = Some(xs.shallow_clone()); // [N, 88, 16, 16]
            }
        }
        let branch = branch.expect("every layout has a branch");
        // Four heads: scores for both grids, then coordinates for both.
        let mut head = |map: &Tensor, numbers: usize| {
            let n = map.size()[0];
            // A cell's anchors must be adjacent, so channels come last.
            layers.next(map).permute([0, 2, 3, 1]).reshape([n, -1, numbers as i64])
        };
        let logits = Tensor::cat(&[head(&branch, 1), head(&xs, 1)], 1); // [N, 896, 1]
        let coordinates = Tensor::cat(&[head(&branch, COORDINATES), head(&xs, COORDINATES)], 1); // [N, 896, 16]
        debug_assert_eq!(logits.size()[1], ANCHORS as i64);
        OutputTensors { logits: logits.squeeze_dim(2), coordinates }
    }
}

/// The network's convolutions, run one after another.
struct Layers<'a> {
    network: &'a Network,
    mode: Mode,
    observe: &'a mut dyn FnMut(usize, &Tensor),
    index: usize,
    pieces: std::vec::IntoIter<Tensor>,
    statistics: std::vec::IntoIter<Tensor>,
}

impl<'a> Layers<'a> {
    fn new(network: &'a Network, mode: Mode, observe: &'a mut dyn FnMut(usize, &Tensor)) -> Self {
        let pieces = network.pieces().into_iter();
        let statistics = network.statistics().into_iter();
        Self { network, mode, observe, index: 0, pieces, statistics }
    }

    /// Runs the next convolution, and its BatchNorm if it has one.
    fn next(&mut self, xs: &Tensor) -> Tensor {
        let conv = &self.network.convs[self.index];
        let mut piece = || self.pieces.next().expect("every convolution has its pieces");
        let normalised = self.network.form == Form::Unfolded && conv.role != Role::Head;
        let (weight, first) = (piece(), piece());
        let ys = if normalised {
            let ys = convolve(conv, xs, &weight, None);
            let beta = piece();
            let mut statistic = || self.statistics.next().expect("BatchNorm has both statistics");
            let (mean, variance) = (statistic(), statistic());
            let train = matches!(self.mode, Mode::Train { from } if self.index >= from);
            let (gamma, beta) = (Some(&first), Some(&beta));
            let (mean, variance) = (Some(&mean), Some(&variance));
            ys.batch_norm(gamma, beta, mean, variance, train, MOMENTUM, EPSILON, true)
        } else {
            convolve(conv, xs, &weight, Some(&first))
        };
        (self.observe)(self.index, &ys);
        self.index += 1;
        ys
    }
}

/// Convolves with `TensorFlow`'s `SAME` padding, which puts the extra row and column at the bottom and right.
fn convolve(conv: &Conv, xs: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Tensor {
    let stride = conv.stride as i64;
    let groups = if conv.role == Role::Depthwise { conv.shape[0] as i64 } else { 1 };
    let run = |xs: &Tensor, padding: i64| {
        xs.conv2d(weight, bias, [stride, stride], [padding, padding], [1, 1], groups)
    };
    match (conv.role, conv.stride) {
        (Role::Stem, _) => run(&xs.constant_pad_nd([1, 2, 1, 2]), 0),
        (Role::Depthwise, 1) => run(xs, 1),
        (Role::Depthwise, _) => run(&xs.constant_pad_nd([0, 1, 0, 1]), 0),
        (Role::Pointwise | Role::Head, _) => run(xs, 0),
    }
}

/// Copies a tensor to host memory.
pub fn array(tensor: &Tensor) -> Array {
    let shape = tensor.size().iter().map(|&length| length as usize).collect();
    let flat = tensor.detach().to_device(Device::Cpu).to_kind(Kind::Float).reshape([-1]);
    let mut values = vec![0.0; flat.numel()];
    flat.copy_data(&mut values, flat.numel());
    Array { shape, values }
}

/// Converts `[N, H, W, 3]` bytes to `[N, 3, H, W]` floats, RGB / 127.5 − 1, with channels last in memory.
pub fn to_input(pictures: &Tensor) -> Tensor {
    (pictures.to_kind(Kind::Float) / 127.5 - 1.0).permute([0, 3, 1, 2])
}
