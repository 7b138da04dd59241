//! Reads the network's weights from training checkpoints.
//!
//! A checkpoint is a `.safetensors` file of flat vectors in the order of the convolutions. `parameters` holds each
//! convolution's weight and bias, or its weight, gamma and beta if it has BatchNorm. `buffers` holds the running means
//! and variances of BatchNorm. Only the moving averages of both vectors are read.

use safetensors::tensor::SafeTensors;

use super::names::{EPSILON, Names, norm_name};
use super::{WeightsError, raw};
use crate::model::layout;
use crate::model::layout::{Conv, Layout, Role, Variant};
use crate::model::tensors::{Array, Arrays, LayoutError, Weights};

const PARAMETERS: &str = "average.parameters";
const BUFFERS: &str = "average.buffers";

/// Whether a file contains a checkpoint's averaged vectors.
pub(super) fn is_checkpoint(file: &SafeTensors<'_>) -> bool {
    [PARAMETERS, BUFFERS].iter().all(|name| file.tensor(name).is_ok())
}

/// Reads the averaged weights, with BatchNorm folded in.
pub(super) fn read(file: &SafeTensors<'_>) -> Result<Weights, WeightsError> {
    let arrays = split(file)?;
    Ok(Names::of(arrays.keys().map(String::as_str)).assemble(arrays)?)
}

/// Reads the averaged weights from a checkpoint's bytes without folding BatchNorm. Returns `None` if the network was
/// trained without BatchNorm.
///
/// Each convolution `x` of the backbones has `x.bn.weight`, `x.bn.bias`, `x.bn.running_mean` and `x.bn.running_var` for
/// `PyTorch`'s default epsilon, but no `x.bias`.
///
/// # Errors
///
/// [`WeightsError`] if the bytes are not a checkpoint.
pub fn unfolded(bytes: &[u8]) -> Result<Option<Arrays>, WeightsError> {
    let arrays = split(&raw::open(bytes)?)?;
    let has_norm = arrays.keys().any(|name| name.ends_with(".running_var"));
    Ok(has_norm.then_some(arrays))
}

fn split(file: &SafeTensors<'_>) -> Result<Arrays, WeightsError> {
    let (parameters, buffers) = (flat(file, PARAMETERS)?, flat(file, BUFFERS)?);
    let normed = !buffers.is_empty();
    let layout = layout_of(parameters.len(), buffers.len())
        .ok_or_else(|| LayoutError::Missing(vec![PARAMETERS.to_owned(), BUFFERS.to_owned()]))?;
    let mut arrays = Arrays::new();
    let (mut parameters, mut buffers) = (parameters.as_slice(), buffers.as_slice());
    for conv in layout.convs() {
        let channels = [conv.shape[0]];
        put(&mut arrays, format!("{}.weight", conv.name), &conv.shape, &mut parameters);
        if !normed || conv.role == Role::Head {
            put(&mut arrays, format!("{}.bias", conv.name), &channels, &mut parameters);
            continue;
        }
        let norm = norm_name(&conv.name);
        for what in ["weight", "bias"] {
            put(&mut arrays, format!("{norm}.{what}"), &channels, &mut parameters);
        }
        for what in ["running_mean", "running_var"] {
            put(&mut arrays, format!("{norm}.{what}"), &channels, &mut buffers);
        }
        // Readers of the file add PyTorch's default epsilon instead of training's, so the variance absorbs the
        // difference.
        let variances = arrays.get_mut(&format!("{norm}.running_var")).into_iter();
        for value in variances.flat_map(|array| &mut array.values) {
            *value = (f64::from(*value) + layout::EPSILON - EPSILON) as f32;
        }
    }
    Ok(arrays)
}

/// Returns the layout with this many parameters and buffers.
fn layout_of(parameters: usize, buffers: usize) -> Option<&'static Layout> {
    let layouts = Variant::ALL.map(Variant::layout);
    layouts.into_iter().find(|layout| {
        let convs = layout.convs();
        let sum = |count: &dyn Fn(&Conv) -> usize| convs.iter().map(count).sum::<usize>();
        let numbers = sum(&|conv| conv.shape.iter().product::<usize>() + conv.shape[0]);
        let channels = sum(&|conv| if conv.role == Role::Head { 0 } else { conv.shape[0] });
        (parameters, buffers) == (numbers, 0)
            || (parameters, buffers) == (numbers + channels, 2 * channels)
    })
}

fn put(arrays: &mut Arrays, name: String, shape: &[usize], rest: &mut &[f32]) {
    let (values, after) = rest.split_at(shape.iter().product());
    arrays.insert(name, Array { shape: shape.to_vec(), values: values.to_vec() });
    *rest = after;
}

fn flat(file: &SafeTensors<'_>, name: &str) -> Result<Vec<f32>, WeightsError> {
    let view = file.tensor(name)?;
    raw::values(name, &view)
}
