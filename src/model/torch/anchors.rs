//! Anchors as tensors, and the decoding of boxes relative to them.

use tch::{Device, Tensor};

use crate::model::anchors::centres;
use crate::model::layout::INPUT_SIZE;

/// Returns [`centres`] as a tensor, `[896, 2]`.
pub fn centre_tensor(device: Device) -> Tensor {
    Tensor::from_slice(centres().as_flattened()).reshape([-1, 2]).to_device(device)
}

/// Decodes raw coordinates `[N, 896, 16]` into boxes `[N, 896, 4]`: centre x, y, width, height as fractions of the
/// input.
///
/// Source: `MediaPipe` `tensors_to_detections_calculator.cc`, `DecodeBoxes`.
pub fn decode_boxes(coordinates: &Tensor, centres: &Tensor) -> Tensor {
    let scaled = coordinates.narrow(2, 0, 4) / INPUT_SIZE as f64; // [N, 896, 4]
    scaled + centres.constant_pad_nd([0, 2])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::layout::ANCHORS;

    #[test]
    fn offsets_are_in_pixels_of_the_input() {
        let mut raw = vec![0.0f32; ANCHORS * 16];
        raw[..4].copy_from_slice(&[12.8, -6.4, 64.0, 32.0]);
        let raw = Tensor::from_slice(&raw).reshape([1, ANCHORS as i64, 16]);
        let boxes = decode_boxes(&raw, &centre_tensor(Device::Cpu));
        let first = Vec::<f32>::try_from(boxes.get(0).get(0)).unwrap();
        let expected = [0.5 / 16.0 + 0.1, 0.5 / 16.0 - 0.05, 0.5, 0.25];
        assert!(first.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{first:?}");
    }
}
