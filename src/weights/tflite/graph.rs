//! Builds a `.tflite` from scratch, with 32-bit or 8-bit weights. The graph is `MediaPipe`'s, with each activation
//! fused into the preceding operator. It computes with 32-bit floats; 8-bit weights are dequantised when the file is
//! loaded.
//!
//! Source: TensorFlow Lite's `schema.fbs`.

use super::MAGIC;
use super::build::{FlatValue, NewTable};
use super::constants::{FLOAT32, INT8};
use super::metadata::{self, About};
use super::order::from_pytorch;
use super::quantised::quantise;
use crate::model::layout::{ANCHORS, COORDINATES, Conv, Layout, Role, STEM_CHANNELS};
use crate::model::tensors::Weights;

/// Operators, numbered as in the schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Add = 0,
    Concatenation = 2,
    Conv = 3,
    Depthwise = 4,
    Dequantize = 6,
    MaxPool = 17,
    Reshape = 22,
    Pad = 34,
}

const RELU: u8 = 1;
const SCHEMA_VERSION: i32 = 3;
const INT32: u8 = 2;

/// The type in which kernels are stored. Biases are always 32-bit floats.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kernels {
    Float32,
    Int8,
}

/// Returns the file's bytes.
pub(super) fn write(weights: &Weights, kernels: Kernels, about: &About) -> Vec<u8> {
    let mut model = Model::new(kernels);
    // Buffer 0 is empty by convention. Computed tensors refer to it.
    model.buffers.push(NewTable::default());
    let size = weights.layout().input_size;
    let input = model.tensor("input", &[1, size, size, 3], FLOAT32, 0);
    let [classifiers, regressors] = network(&mut model, weights, input);
    model.buffers.push(NewTable::default().with(0, FlatValue::Bytes(metadata::bytes(about))));
    let metadata = NewTable::default()
        .text(0, metadata::NAME)
        .with(1, FlatValue::Int(model.buffers.len() as i32 - 1));
    let code = |&op: &Op| {
        NewTable::default().with(0, FlatValue::Byte(op as u8)).with(3, FlatValue::Int(op as i32))
    };
    let graph = NewTable::default()
        .with(0, FlatValue::Tables(model.tensors))
        .with(1, FlatValue::Ints(vec![input]))
        .with(2, FlatValue::Ints(vec![regressors, classifiers]))
        .with(3, FlatValue::Tables(model.operators))
        .text(4, "main");
    NewTable::default()
        .with(0, FlatValue::Int(SCHEMA_VERSION))
        .with(1, FlatValue::Tables(model.codes.iter().map(code).collect()))
        .with(2, FlatValue::Tables(vec![graph]))
        .text(3, "written by Blazetune")
        .with(4, FlatValue::Tables(model.buffers))
        .with(6, FlatValue::Tables(vec![metadata]))
        .finish(*MAGIC)
}

/// Adds the network. Returns its logits `[1, 896, 1]` and coordinates `[1, 896, 16]`.
fn network(model: &mut Model, weights: &Weights, input: i32) -> [i32; 2] {
    let layout = weights.layout();
    let convs = layout.convs();
    let mut convs = convs.iter();
    let mut next = |model: &mut Model, xs: i32, side: usize, activation: u8| {
        let conv = convs.next().expect("the layout lists every convolution");
        model.convolve(weights, conv, xs, side, activation)
    };
    let mut side = layout.input_size / 2;
    let mut xs = next(model, input, side, RELU);
    let (mut inputs, mut branch) = (STEM_CHANNELS, xs);
    for (block, &(outputs, stride)) in layout.blocks.iter().enumerate() {
        side /= stride;
        let last = block >= layout.shortcuts;
        let residual = next(model, xs, side, 0);
        let residual = next(model, residual, side, if last { RELU } else { 0 });
        xs = if last {
            residual
        } else {
            let shortcut = model.shortcut(block, xs, side, stride, inputs, outputs);
            let options = NewTable::default().with(0, FlatValue::Byte(RELU));
            let sum = model.tensor(&format!("add_{block}"), &[1, side, side, outputs], FLOAT32, 0);
            model.operator(Op::Add, &[shortcut, residual], sum, 11, options)
        };
        if block + 1 == layout.first_blocks {
            branch = xs;
        }
        inputs = outputs;
    }
    [("classificators", 1), ("regressors", COORDINATES)]
        .map(|(name, numbers)| heads(model, layout, &mut next, [branch, xs], (name, numbers)))
}

/// Adds both grids' heads for one output and concatenates their anchors.
fn heads(
    model: &mut Model,
    layout: &Layout,
    next: &mut dyn FnMut(&mut Model, i32, usize, u8) -> i32,
    maps: [i32; 2],
    (name, numbers): (&str, usize),
) -> i32 {
    let halves = maps.into_iter().zip(&layout.grids).map(|(map, grid)| {
        let head = next(model, map, grid.side, 0);
        let count = grid.side * grid.side * grid.anchors_per_cell;
        let shape = FlatValue::Ints(vec![1, count as i32, numbers as i32]);
        let rows = format!("{name}_{}", grid.side);
        let rows = model.tensor(&rows, &[1, count, numbers], FLOAT32, 0);
        model.operator(Op::Reshape, &[head], rows, 17, NewTable::default().with(0, shape))
    });
    let halves: Vec<i32> = halves.collect();
    let whole = model.tensor(name, &[1, ANCHORS, numbers], FLOAT32, 0);
    let axis = NewTable::default().with(0, FlatValue::Int(1));
    model.operator(Op::Concatenation, &halves, whole, 10, axis)
}

struct Model {
    kernels: Kernels,
    /// The operators used so far.
    codes: Vec<Op>,
    buffers: Vec<NewTable>,
    tensors: Vec<NewTable>,
    operators: Vec<NewTable>,
}

impl Model {
    fn new(kernels: Kernels) -> Self {
        let (buffers, tensors, operators) = (Vec::new(), Vec::new(), Vec::new());
        Self { kernels, codes: Vec::new(), buffers, tensors, operators }
    }

    fn tensor(&mut self, name: &str, shape: &[usize], kind: u8, buffer: i32) -> i32 {
        let shape = shape.iter().map(|&length| length as i32).collect();
        let tensor = NewTable::default()
            .with(0, FlatValue::Ints(shape))
            .with(1, FlatValue::Byte(kind))
            .with(2, FlatValue::Int(buffer))
            .text(3, name);
        self.tensors.push(tensor);
        self.tensors.len() as i32 - 1
    }

    fn constant(&mut self, name: &str, shape: &[usize], kind: u8, bytes: Vec<u8>) -> i32 {
        self.buffers.push(NewTable::default().with(0, FlatValue::Bytes(bytes)));
        self.tensor(name, shape, kind, self.buffers.len() as i32 - 1)
    }

    /// Adds an operator with one output and returns the output.
    fn operator(
        &mut self,
        op: Op,
        inputs: &[i32],
        output: i32,
        options_kind: u8,
        options: NewTable,
    ) -> i32 {
        let known = self.codes.iter().position(|&known| known == op);
        let code = known.unwrap_or_else(|| {
            self.codes.push(op);
            self.codes.len() - 1
        });
        let operator = NewTable::default()
            .with(0, FlatValue::Int(code as i32))
            .with(1, FlatValue::Ints(inputs.to_vec()))
            .with(2, FlatValue::Ints(vec![output]))
            .with(3, FlatValue::Byte(options_kind))
            .with(4, FlatValue::NewTable(options));
        self.operators.push(operator);
        output
    }

    /// Adds an 8-bit kernel and the operator that dequantises it, with a scale per index of `dimension`.
    fn int8(&mut self, name: &str, shape: &[usize], kernel: &[f32], dimension: usize) -> i32 {
        let (numbers, scales) = quantise(shape, kernel, dimension);
        let zeros = FlatValue::Longs(vec![0; scales.len()]);
        let scales = NewTable::default()
            .with(2, FlatValue::Floats(scales))
            .with(3, zeros)
            .with(6, FlatValue::Int(dimension as i32));
        let bytes = numbers.iter().map(|number| number.cast_unsigned()).collect();
        let stored = self.constant(&format!("{name}/Kernel"), shape, INT8, bytes);
        self.tensors[stored as usize].0.push((4, FlatValue::NewTable(scales)));
        let scaled = self.tensor(&format!("{name}/Kernel_scaled"), shape, FLOAT32, 0);
        self.operator(Op::Dequantize, &[stored], scaled, 38, NewTable::default())
    }

    /// Adds a convolution.
    ///
    /// * `side`: side of the output map, in cells.
    fn convolve(&mut self, weights: &Weights, conv: &Conv, xs: i32, side: usize, relu: u8) -> i32 {
        let bytes = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let (weight, bias) = weights.conv(&conv.name);
        let [o, i, h, w] = conv.shape;
        let depthwise = conv.role == Role::Depthwise;
        let shape = if depthwise { [1, h, w, o] } else { [o, h, w, i] };
        let kernel = from_pytorch(conv, &weight.values);
        let name = &conv.tflite_name;
        let kernel = match self.kernels {
            Kernels::Float32 => {
                self.constant(&format!("{name}/Kernel"), &shape, FLOAT32, bytes(&kernel))
            }
            Kernels::Int8 => self.int8(name, &shape, &kernel, if depthwise { 3 } else { 0 }),
        };
        let bias = bytes(&bias.values);
        let bias = self.constant(&format!("{name}/Bias"), &[o], FLOAT32, bias);
        let ys = self.tensor(name, &[1, side, side, o], FLOAT32, 0);
        let stride = || FlatValue::Int(conv.stride as i32);
        let options = NewTable::default().with(1, stride()).with(2, stride());
        let (op, kind, options) = if depthwise {
            let options = options.with(3, FlatValue::Int(1)).with(4, FlatValue::Byte(relu));
            (Op::Depthwise, 2, options)
        } else {
            (Op::Conv, 1, options.with(3, FlatValue::Byte(relu)))
        };
        self.operator(op, &[xs, kernel, bias], ys, kind, options)
    }

    /// Adds a block's shortcut: the input, pooled if the stride is 2, and padded if the output has more channels.
    fn shortcut(
        &mut self,
        block: usize,
        mut xs: i32,
        side: usize,
        stride: usize,
        inputs: usize,
        outputs: usize,
    ) -> i32 {
        if stride == 2 {
            let pooled =
                self.tensor(&format!("pool_{block}"), &[1, side, side, inputs], FLOAT32, 0);
            let options = (1..5)
                .fold(NewTable::default(), |table, field| table.with(field, FlatValue::Int(2)));
            xs = self.operator(Op::MaxPool, &[xs], pooled, 5, options);
        }
        if outputs > inputs {
            let mut pads = [0i32; 8];
            pads[7] = (outputs - inputs) as i32;
            let pads = pads.iter().flat_map(|pad| pad.to_le_bytes()).collect();
            let pads = self.constant(&format!("pads_{block}"), &[4, 2], INT32, pads);
            let padded =
                self.tensor(&format!("pad_{block}"), &[1, side, side, outputs], FLOAT32, 0);
            xs = self.operator(Op::Pad, &[xs, pads], padded, 22, NewTable::default());
        }
        xs
    }
}
