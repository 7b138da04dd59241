//! The order of a kernel's numbers: TensorFlow has channels last, PyTorch has them first.

use crate::model::layout::{Conv, Role};

/// `[O, H, W, I]` (depthwise `[1, H, W, C]`) to `[O, I, H, W]`.
pub(super) fn to_pytorch(conv: &Conv, values: &[f32]) -> Vec<f32> {
    positions(conv).map(|position| values[position]).collect()
}

/// The reverse of [`to_pytorch`].
pub(super) fn from_pytorch(conv: &Conv, values: &[f32]) -> Vec<f32> {
    let mut kernel = vec![0.0; values.len()];
    for (position, &value) in positions(conv).zip(values) {
        kernel[position] = value;
    }
    kernel
}

/// Where each element of `[O, I, H, W]` lies in TensorFlow's order.
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
