//! Maps a file's tensors to the folded network's, whatever names the trainer used.
//!
//! It accepts the published port's names and those of trainable ports derived from it, which have BatchNorm after the
//! convolutions and regressors that are split into boxes and keypoints.

use std::collections::BTreeMap;

use crate::model::layout::{COORDINATES, Conv, Layout, Role};
use crate::model::tensors::{Array, Arrays, LayoutError, Weights, variant_of};

/// `PyTorch`'s default epsilon, which is assumed for all files with BatchNorm because they do not state theirs.
pub(super) const EPSILON: f64 = 1e-5;
/// Number of an anchor's coordinates that form its box. The others form its keypoints.
const BOX: usize = 4;
/// Prefixes that wrappers add to every name.
const WRAPPERS: [&str; 3] = ["module.", "_orig_mod.", "model."];

/// The tensor names that are accepted for one variant.
#[derive(Debug)]
pub(super) struct Names {
    layout: &'static Layout,
    convs: Vec<Conv>,
    places: BTreeMap<String, Place>,
}

/// A tensor's place in the network.
#[derive(Debug)]
struct Place {
    conv: usize,
    part: Part,
    rows: Rows,
    shape: Vec<usize>,
}

/// A parameter of a convolution or of its BatchNorm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Weight,
    Bias,
    Gamma,
    Beta,
    Mean,
    Variance,
}

/// The rows of a convolution that a tensor contains. Only regressors are split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rows {
    All,
    Box,
    Keypoints,
}

const NORM: [(Part, &str); 4] = [
    (Part::Gamma, "weight"),
    (Part::Beta, "bias"),
    (Part::Mean, "running_mean"),
    (Part::Variance, "running_var"),
];

/// Strips the prefixes that wrappers add to a name.
pub(super) fn unwrapped(mut name: &str) -> &str {
    while let Some(rest) = WRAPPERS.iter().find_map(|wrapper| name.strip_prefix(wrapper)) {
        name = rest;
    }
    name
}

impl Names {
    /// Detects the variant from a file's tensor names and returns the names accepted for it.
    pub(super) fn of<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let layout = variant_of(names).layout();
        let convs = layout.convs();
        let places = convs.iter().enumerate().flat_map(|(index, conv)| places(index, conv));
        let places = places.collect();
        Self { layout, convs, places }
    }

    /// Whether a tensor's values are needed. Other tensors are kept without values, so they take no memory.
    pub(super) fn want(&self, name: &str, shape: &[usize]) -> bool {
        self.places.get(name).is_some_and(|place| place.shape == shape)
    }

    /// Builds the folded network's weights from tensors with unwrapped names.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] if tensors are missing, unexpected or misshapen, or have values that are not finite.
    pub(super) fn assemble(&self, arrays: Arrays) -> Result<Weights, LayoutError> {
        let mut found = BTreeMap::new();
        let (mut unexpected, mut misshapen) = (Vec::new(), None);
        for (name, array) in arrays {
            if name.ends_with(".num_batches_tracked") {
                continue; // BatchNorm's batch counter.
            }
            let Some(place) = self.places.get(&name) else {
                unexpected.push(name);
                continue;
            };
            let key = (place.conv, place.part, place.rows);
            if found.contains_key(&key) {
                unexpected.push(name); // A second name for one tensor.
                continue;
            }
            if array.shape != place.shape
                || array.values.len() != place.shape.iter().product::<usize>()
            {
                let (shape, expected) = (array.shape.clone(), place.shape.clone());
                let name = name.clone();
                misshapen.get_or_insert(LayoutError::Shape { name, found: shape, expected });
            }
            found.insert(key, (name, array));
        }
        let missing = self.missing(&found);
        if !missing.is_empty() {
            return Err(LayoutError::Missing(missing));
        }
        if !unexpected.is_empty() {
            return Err(LayoutError::Unexpected(unexpected));
        }
        if let Some(misshapen) = misshapen {
            return Err(misshapen);
        }
        let folded = self.convs.iter().enumerate().flat_map(|(index, conv)| {
            let (weight, bias) = folded(index, conv, &mut found);
            let array = |shape: &[usize], values| Array { shape: shape.to_vec(), values };
            [
                (format!("{}.weight", conv.name), array(&conv.shape, weight)),
                (format!("{}.bias", conv.name), array(&conv.shape[..1], bias)),
            ]
        });
        let weights = Weights::new(folded.collect())?;
        debug_assert_eq!(weights.layout(), self.layout);
        Ok(weights)
    }

    /// Lists the missing tensors in the file's own naming style.
    fn missing(&self, found: &Found) -> Vec<String> {
        let mut missing = Vec::new();
        for (index, conv) in self.convs.iter().enumerate() {
            let has = |part, rows| found.contains_key(&(index, part, rows));
            let norm = NORM.iter().find_map(|&(part, what)| {
                let (name, _) = found.get(&(index, part, Rows::All))?;
                name.strip_suffix(what)
            });
            for (part, what) in [(Part::Weight, "weight"), (Part::Bias, "bias")] {
                let halves = [(Rows::Box, "box"), (Rows::Keypoints, "kp")];
                let split = halves.iter().any(|&(rows, _)| has(part, rows));
                if has(part, Rows::All) || (part == Part::Bias && norm.is_some()) {
                } else if split {
                    let absent = halves.iter().filter(|&&(rows, _)| !has(part, rows));
                    missing.extend(absent.map(|(_, half)| format!("{}_{half}.{what}", conv.name)));
                } else {
                    missing.push(format!("{}.{what}", conv.name));
                }
            }
            if let Some(norm) = norm {
                let absent = NORM.iter().filter(|&&(part, _)| !has(part, Rows::All));
                missing.extend(absent.map(|(_, what)| format!("{norm}{what}")));
            }
        }
        missing
    }
}

/// Arrays with their names in the file.
type Found = BTreeMap<(usize, Part, Rows), (String, Array)>;

/// Returns the prefix of a convolution's BatchNorm in the files that Blazetune writes.
pub(super) fn norm_name(conv: &str) -> String {
    format!("{conv}.bn")
}

fn places(index: usize, conv: &Conv) -> Vec<(String, Place)> {
    let place =
        |part, rows, shape: &[usize]| Place { conv: index, part, rows, shape: shape.into() };
    let [outputs, inputs, height, width] = conv.shape;
    let mut places = Vec::new();
    let mut convolution = |name: &str, rows, outputs| {
        let shape = [outputs, inputs, height, width];
        places.push((format!("{name}.weight"), place(Part::Weight, rows, &shape)));
        places.push((format!("{name}.bias"), place(Part::Bias, rows, &shape[..1])));
    };
    convolution(&conv.name, Rows::All, outputs);
    if conv.role == Role::Head {
        if conv.name.starts_with("regressor") {
            let anchors = outputs / COORDINATES;
            convolution(&format!("{}_box", conv.name), Rows::Box, anchors * BOX);
            let keypoints = COORDINATES - BOX;
            convolution(&format!("{}_kp", conv.name), Rows::Keypoints, anchors * keypoints);
        }
        return places;
    }
    let mut norms = vec![norm_name(&conv.name)];
    for (ending, alias, norm) in [(".convs.0", "dw_conv", "bn1"), (".convs.1", "pw_conv", "bn2")] {
        if let Some(block) = conv.name.strip_suffix(ending) {
            convolution(&format!("{block}.{alias}"), Rows::All, outputs);
            norms.push(format!("{block}.{norm}"));
        }
    }
    for norm in norms {
        let place = |&(part, what): &(Part, &str)| {
            (format!("{norm}.{what}"), place(part, Rows::All, &[outputs]))
        };
        places.extend(NORM.iter().map(place));
    }
    places
}

/// Returns a convolution's weight and bias, with its BatchNorm folded in if it has one.
fn folded(index: usize, conv: &Conv, found: &mut Found) -> (Vec<f32>, Vec<f32>) {
    let mut whole = |part| {
        let mut take = |rows| found.remove(&(index, part, rows)).map(|(_, array)| array.values);
        take(Rows::All).or_else(|| Some(joined(&take(Rows::Box)?, &take(Rows::Keypoints)?, conv)))
    };
    let mut weight = whole(Part::Weight).expect("no tensor is missing");
    let bias = whole(Part::Bias);
    let mut norm = |part| found.remove(&(index, part, Rows::All)).map(|(_, array)| array.values);
    let Some(gamma) = norm(Part::Gamma) else {
        return (weight, bias.expect("no tensor is missing"));
    };
    let mut next = |part| norm(part).expect("no tensor is missing");
    let (beta, mean, variance) = (next(Part::Beta), next(Part::Mean), next(Part::Variance));
    let mut shifts = Vec::with_capacity(gamma.len());
    let size = weight.len() / gamma.len();
    for (channel, kernel) in weight.chunks_exact_mut(size).enumerate() {
        let deviation = (f64::from(variance[channel]) + EPSILON).sqrt();
        let scale = f64::from(gamma[channel]) / deviation;
        for value in kernel {
            *value = (f64::from(*value) * scale) as f32;
        }
        let own = bias.as_ref().map_or(0.0, |bias| f64::from(bias[channel]));
        let shift = f64::from(beta[channel]) + (own - f64::from(mean[channel])) * scale;
        shifts.push(shift as f32);
    }
    (weight, shifts)
}

/// Interleaves the rows of boxes and keypoints, anchor by anchor.
fn joined(boxes: &[f32], keypoints: &[f32], conv: &Conv) -> Vec<f32> {
    let anchors = conv.shape[0] / COORDINATES;
    let (boxes, keypoints) = (
        boxes.chunks_exact(boxes.len() / anchors),
        keypoints.chunks_exact(keypoints.len() / anchors),
    );
    boxes.zip(keypoints).flat_map(|(boxes, keypoints)| [boxes, keypoints].concat()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::tflite::mediapipe;
    use super::*;

    fn assemble(arrays: Arrays) -> Result<Weights, LayoutError> {
        Names::of(arrays.keys().map(String::as_str)).assemble(arrays)
    }

    fn array(shape: &[usize], value: impl Fn(usize) -> f32) -> Array {
        Array { shape: shape.to_vec(), values: (0..shape.iter().product()).map(value).collect() }
    }

    /// Returns the arrays of a trainable port, with its names, BatchNorm and split regressors.
    fn as_trained() -> Arrays {
        let mut arrays = mediapipe().arrays().clone();
        for number in ["8", "16"] {
            for what in ["weight", "bias"] {
                let whole = arrays.remove(&format!("regressor_{number}.{what}")).unwrap();
                let anchors = whole.shape[0] / COORDINATES;
                let size = whole.values.len() / anchors / COORDINATES;
                for (half, from, to) in [("box", 0, BOX), ("kp", BOX, COORDINATES)] {
                    let rows = whole.values.chunks_exact(size * COORDINATES);
                    let values = rows.flat_map(|row| row[from * size..to * size].to_vec());
                    let mut shape = whole.shape.clone();
                    shape[0] = anchors * (to - from);
                    let array = Array { shape, values: values.collect() };
                    arrays.insert(format!("regressor_{number}_{half}.{what}"), array);
                }
            }
        }
        for block in ["backbone1.2", "backbone2.4"] {
            for (index, conv, norm) in [(0, "dw_conv", "bn1"), (1, "pw_conv", "bn2")] {
                let mut weight = arrays.remove(&format!("{block}.convs.{index}.weight")).unwrap();
                let bias = arrays.remove(&format!("{block}.convs.{index}.bias")).unwrap();
                let channels = bias.shape.clone();
                for value in &mut weight.values {
                    *value *= 2.0;
                }
                arrays.insert(format!("{block}.{conv}.weight"), weight);
                let mut put = |what: &str, array| {
                    arrays.insert(format!("{block}.{norm}.{what}"), array);
                };
                // (2wx − 3) · 2 / √16 + (bias + 1.5) = wx + bias, apart from ε.
                put("weight", array(&channels, |_| 2.0));
                put("running_mean", array(&channels, |_| 3.0));
                put("running_var", array(&channels, |_| 16.0));
                put(
                    "bias",
                    Array { values: bias.values.iter().map(|b| b + 1.5).collect(), ..bias },
                );
                put("num_batches_tracked", array(&[], |_| 0.0));
            }
        }
        arrays
    }

    #[test]
    fn batch_norm_is_folded_and_split_regressors_are_joined() {
        let weights = assemble(as_trained()).unwrap();
        for (name, array) in mediapipe().arrays() {
            let ours = &weights.arrays()[name].values;
            let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-5 * b.abs().max(1.0);
            assert!(ours.iter().zip(&array.values).all(near), "{name}");
        }
        assert_eq!(weights.conv("regressor_16"), mediapipe().conv("regressor_16"));
    }

    #[test]
    fn missing_tensors_are_listed_in_the_files_naming_style() {
        let without = |name: &str| {
            let mut arrays = as_trained();
            arrays.remove(name).unwrap();
            assemble(arrays).unwrap_err().to_string()
        };
        let missing = |name: &str| format!("missing tensors: {name}");
        assert_eq!(without("regressor_8_kp.bias"), missing("regressor_8_kp.bias"));
        assert_eq!(without("backbone1.2.bn1.running_var"), missing("backbone1.2.bn1.running_var"));
        assert_eq!(without("classifier_8.weight"), missing("classifier_8.weight"));
    }

    #[test]
    fn a_tensor_under_two_names_is_rejected() {
        let mut arrays = as_trained();
        let weight = arrays["backbone1.2.dw_conv.weight"].clone();
        arrays.insert("backbone1.2.convs.0.weight".into(), weight);
        let error = assemble(arrays).unwrap_err().to_string();
        assert_eq!(error, "unexpected tensors: backbone1.2.dw_conv.weight");
    }

    #[test]
    fn wrapper_prefixes_are_stripped() {
        assert_eq!(unwrapped("module._orig_mod.backbone1.0.bias"), "backbone1.0.bias");
        assert_eq!(unwrapped("classifier_8.bias"), "classifier_8.bias");
    }
}
