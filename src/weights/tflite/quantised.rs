//! 8-bit kernels: integers from -127 to 127, and a scale per output channel.

/// Quantises a kernel. Returns its integers and the scales of its `shape[dimension]` channels.
pub(super) fn quantise(shape: &[usize], kernel: &[f32], dimension: usize) -> (Vec<i8>, Vec<f32>) {
    let mut scales = vec![0.0f32; shape[dimension]];
    for (index, value) in kernel.iter().enumerate() {
        let scale = &mut scales[channel(shape, dimension, index)];
        *scale = scale.max(value.abs() / LARGEST);
    }
    // A channel of zeros gets scale 1, to avoid dividing by zero.
    scales.iter_mut().filter(|scale| !scale.is_normal()).for_each(|scale| *scale = 1.0);
    let number = |(index, value): (usize, &f32)| {
        let scaled = value / scales[channel(shape, dimension, index)];
        scaled.round_ties_even().clamp(-LARGEST, LARGEST) as i8
    };
    (kernel.iter().enumerate().map(number).collect(), scales)
}

const LARGEST: f32 = 127.0;

/// Reverses [`quantise`]. All channels may share one scale.
pub(super) fn scaled(shape: &[u32], numbers: &[u8], scales: &[f32], dimension: usize) -> Vec<f32> {
    let shape: Vec<usize> = shape.iter().map(|&length| length as usize).collect();
    let value = |(index, number): (usize, &u8)| {
        let scale = if scales.len() == 1 { 0 } else { channel(&shape, dimension, index) };
        f32::from(number.cast_signed()) * scales[scale]
    };
    numbers.iter().enumerate().map(value).collect()
}

/// Returns the channel of the element at a row-major `index`.
fn channel(shape: &[usize], dimension: usize, index: usize) -> usize {
    let stride: usize = shape[dimension + 1..].iter().product();
    index / stride % shape[dimension]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_channel_uses_the_full_range_and_zeros_stay_zero() {
        for (dimension, kernel) in
            [(0, [127.0, -12.7, 0.0, 0.0, 2.54, 0.02]), (1, [127.0, 0.0, 2.54, -12.7, 0.0, 0.02])]
        {
            let shape = if dimension == 0 { [3, 2] } else { [2, 3] };
            let (numbers, scales) = quantise(&shape, &kernel, dimension);
            assert_eq!(scales, [1.0, 1.0, 0.02]);
            let bytes: Vec<u8> = numbers.iter().map(|number| number.cast_unsigned()).collect();
            let back = scaled(&shape.map(|length| length as u32), &bytes, &scales, dimension);
            for (value, kept) in kernel.iter().zip(&back) {
                assert!((value - kept).abs() <= 0.5, "{kernel:?} became {back:?}");
            }
            assert_eq!(numbers.iter().filter(|number| number.abs() == 127).count(), 2);
        }
    }
}
