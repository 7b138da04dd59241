//! Writes `.onnx` files for ONNX Runtime and other runtimes. Blazetune does not read `.onnx`.
//!
//! The input `input` is `[N, 3, S, S]`: pictures letterboxed to a square, as RGB / 127.5 − 1.

mod faces;
mod graph;

use std::collections::BTreeMap;

use self::graph::Attribute::{Int, Ints};
use self::graph::{Dim, Graph};
use crate::model::layout::{ANCHORS, COORDINATES, Conv, Role};
use crate::model::tensors::Weights;
use crate::protobuf::Message;

/// Version of the operator set.
const OPSET: i64 = 17;
/// Version of the file format: the first one that supports this operator set.
const IR_VERSION: i64 = 8;

/// The graph's outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnnxOutputs {
    /// `regressors` `[N, 896, 16]` and `classificators` `[N, 896, 1]`, as in `MediaPipe`'s `.tflite`.
    Raw,
    /// The faces of the whole batch after `MediaPipe`'s weighted non-maximum suppression, in fractions of the
    /// square: `boxes` `[F, 4]` (ymin, xmin, ymax, xmax), `scores` `[F]`, `keypoints` `[F, 6, 2]` (x, y)
    /// and `pictures` `[F]`, the index of each face's picture in the batch. The optional input `min_score` `[1]`
    /// defaults to 0.5.
    Faces,
}

/// Returns the file's bytes, with `metadata` as the model's metadata properties.
pub fn write(
    weights: &Weights,
    outputs: OnnxOutputs,
    metadata: &BTreeMap<String, String>,
) -> Vec<u8> {
    let mut graph = Graph::default();
    let side = Dim::Fixed(weights.layout().input_size);
    graph.input("input", &[Dim::Named("N"), Dim::Fixed(3), side, side]);
    network(&mut graph, weights);
    match outputs {
        OnnxOutputs::Raw => {
            let anchors = [Dim::Named("N"), Dim::Fixed(ANCHORS)];
            graph.output("regressors", &[anchors[0], anchors[1], Dim::Fixed(COORDINATES)]);
            graph.output("classificators", &[anchors[0], anchors[1], Dim::Fixed(1)]);
        }
        OnnxOutputs::Faces => faces::add(&mut graph, weights.layout().input_size),
    }
    let opset = Message::default().text(1, "").int(2, OPSET);
    let model = Message::default()
        .int(1, IR_VERSION)
        .text(2, "Blazetune")
        .text(3, env!("CARGO_PKG_VERSION"))
        .message(7, &graph.message("blazeface"))
        .message(8, &opset);
    let entry = |(key, value): (&String, &String)| Message::default().text(1, key).text(2, value);
    let model = metadata.iter().map(entry).fold(model, |model, entry| model.message(14, &entry));
    model.into_bytes()
}

/// Adds the network. Its outputs are those of `Network::forward`.
fn network(graph: &mut Graph, weights: &Weights) {
    let layout = weights.layout();
    let convs = layout.convs();
    let mut convs = convs.iter();
    let mut next = |graph: &mut Graph, xs: &str| {
        convolve(graph, weights, convs.next().expect("the layout lists every convolution"), xs)
    };
    let stem = next(graph, "input");
    let mut xs = graph.node("Relu", &[&stem], &[]);
    let mut branch = String::new();
    let mut inputs = crate::model::layout::STEM_CHANNELS;
    for (block, &(outputs, stride)) in layout.blocks.iter().enumerate() {
        let residual = next(graph, &xs);
        let residual = next(graph, &residual);
        let mut sum = residual.clone();
        if block < layout.shortcuts {
            let mut shortcut = xs;
            if stride == 2 {
                let window = [Ints("kernel_shape", vec![2, 2]), Ints("strides", vec![2, 2])];
                shortcut = graph.node("MaxPool", &[&shortcut], &window);
            }
            if outputs > inputs {
                let pads = graph.ints(&[0, 0, 0, 0, 0, (outputs - inputs) as i64, 0, 0]);
                shortcut = graph.node("Pad", &[&shortcut, &pads], &[]);
            }
            sum = graph.node("Add", &[&residual, &shortcut], &[]);
        }
        xs = graph.node("Relu", &[&sum], &[]);
        if block + 1 == layout.first_blocks {
            branch.clone_from(&xs);
        }
        inputs = outputs;
    }
    for (name, numbers) in [("classificators", 1), ("regressors", COORDINATES)] {
        let mut head = |map: &str| {
            let ys = next(graph, map);
            // A cell's anchors must be adjacent after reshaping, so channels come last.
            let ys = graph.node("Transpose", &[&ys], &[Ints("perm", vec![0, 2, 3, 1])]);
            let shape = graph.ints(&[0, -1, numbers as i64]);
            graph.node("Reshape", &[&ys, &shape], &[])
        };
        let (first, second) = (head(&branch), head(&xs));
        graph.named("Concat", &[&first, &second], name, &[Int("axis", 1)]);
    }
}

fn convolve(graph: &mut Graph, weights: &Weights, conv: &Conv, xs: &str) -> String {
    let (weight, bias) = weights.conv(&conv.name);
    let name = |what| format!("{}.{what}", conv.name);
    let weight = graph.floats(&name("weight"), &weight.shape, &weight.values);
    let bias = graph.floats(&name("bias"), &bias.shape, &bias.values);
    let stride = conv.stride as i64;
    // TensorFlow's `SAME` padding adds the extra row at the bottom and the extra column on the right.
    let pads = match (conv.role, conv.stride) {
        (Role::Stem, _) => vec![1, 1, 2, 2],
        (Role::Depthwise, 1) => vec![1, 1, 1, 1],
        (Role::Depthwise, _) => vec![0, 0, 1, 1],
        (Role::Pointwise | Role::Head, _) => vec![0, 0, 0, 0],
    };
    let group = if conv.role == Role::Depthwise { conv.shape[0] as i64 } else { 1 };
    let kernel = vec![conv.shape[2] as i64, conv.shape[3] as i64];
    let attributes = [
        Ints("kernel_shape", kernel),
        Ints("strides", vec![stride, stride]),
        Ints("pads", pads),
        Int("group", group),
    ];
    graph.node("Conv", &[xs, &weight, &bias], &attributes)
}
