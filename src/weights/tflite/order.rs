//! Converts kernels between TensorFlow's channels-last order and `PyTorch`'s channels-first order.

use crate::model::layout::{Conv, Role};

/// Converts `[O, H, W, I]` (depthwise: `[1, H, W, C]`) to `[O, I, H, W]`.
pub(super) fn to_pytorch(conv: &Conv, values: &[f32]) -> Vec<f32> {
    positions(conv).map(|position| values[position]).collect()
}

/// Reverses [`to_pytorch`].
pub(super) fn from_pytorch(conv: &Conv, values: &[f32]) -> Vec<f32> {
    let mut kernel = vec![0.0; values.len()];
    for (position, &value) in positions(conv).zip(values) {
        kernel[position] = value;
    }
    kernel
}

/// Returns the index in TensorFlow's order of each element of `[O, I, H, W]`.
fn positions(conv: &Conv) -> impl Iterator<Item = usize> {
    let [outputs, inputs, height, width] = conv.shape;
    let depthwise = conv.role == Role::Depthwise;
    (0..outputs * inputs * height * width).map(move |index| {
        let (x, rest) = (index % width, index / width);
        let (y, rest) = (rest % height, rest / height);
        let (input, output) = (rest % inputs, rest / inputs);
        if depthwise {
            (y * width + x) * outputs + output
        } else {
            ((output * height + y) * width + x) * inputs + input
        }
    })
}
