//! Named arrays: the folded network's weights as files store them.

use std::collections::BTreeMap;
use std::ops::Range;

use super::layout::{Conv, Layout, Variant};
use super::slots::{Form, slots};

/// An array of `f32`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Lengths, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// The values; their count is the product of `shape`.
    pub values: Vec<f32>,
}

/// Arrays by name.
pub type Arrays = BTreeMap<String, Array>;

/// A variant's folded network: a weight and a bias per convolution, with the published `PyTorch` names and shapes.
/// Complete, finite and correctly shaped by construction.
#[derive(Clone, PartialEq)]
pub struct Weights(&'static Layout, Arrays);

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({} arrays)", self.1.len()) // A hundred thousand numbers help no one.
    }
}

/// The reason why arrays are not the network's weights.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Some arrays are missing.
    #[error("missing tensors: {}", listed(.0))]
    Missing(Vec<String>),
    /// Some arrays do not belong to the network.
    #[error("unexpected tensors: {}", listed(.0))]
    Unexpected(Vec<String>),
    /// An array has the wrong shape.
    #[error("tensor {name} has shape {found:?} instead of {expected:?}")]
    Shape {
        /// The array's name.
        name: String,
        /// The array's shape.
        found: Vec<usize>,
        /// The shape that the network needs.
        expected: Vec<usize>,
    },
    /// An array holds a NaN or an infinity.
    #[error("tensor {0} contains values that are not finite")]
    NotFinite(String),
}

/// Lists the first names and counts the rest.
fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

const SHOWN: usize = 16;
/// The biases of the heads that compute the logits.
const SCORE_BIASES: [&str; 2] = ["classifier_8.bias", "classifier_16.bias"];

impl Weights {
    /// Checks names, shapes and values; the names decide the variant.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] for the first fault found.
    pub fn new(arrays: Arrays) -> Result<Self, LayoutError> {
        let layout = variant_of(arrays.keys().map(String::as_str)).layout();
        let expected = shapes(layout);
        let missing = names(expected.keys().filter(|name| !arrays.contains_key(*name)));
        let unexpected = names(arrays.keys().filter(|name| !expected.contains_key(*name)));
        if !missing.is_empty() {
            return Err(LayoutError::Missing(missing));
        }
        if !unexpected.is_empty() {
            return Err(LayoutError::Unexpected(unexpected));
        }
        for (name, array) in &arrays {
            let expected = &expected[name];
            if array.shape != *expected || array.values.len() != expected.iter().product::<usize>()
            {
                let (found, expected) = (array.shape.clone(), expected.clone());
                return Err(LayoutError::Shape { name: name.clone(), found, expected });
            }
            if !array.values.iter().all(|value| value.is_finite()) {
                return Err(LayoutError::NotFinite(name.clone()));
            }
        }
        Ok(Self(layout, arrays))
    }

    /// Reads a folded network's flat parameters: each convolution's weight and bias, in the order of
    /// [`Layout::convs`].
    ///
    /// # Errors
    ///
    /// [`LayoutError::NotFinite`] if training has diverged.
    pub fn from_flat(layout: &Layout, flat: &[f32]) -> Result<Self, LayoutError> {
        let array = |shape: &[usize], range: Range<usize>| Array {
            shape: shape.to_vec(),
            values: flat[range].to_vec(),
        };
        let convs = layout.convs();
        let both = convs.iter().zip(slots(layout, Form::Folded)).flat_map(|(conv, slot)| {
            [
                (format!("{}.weight", conv.name), array(&conv.shape, slot.weight)),
                (format!("{}.bias", conv.name), array(&conv.shape[..1], slot.shift)),
            ]
        });
        Self::new(both.collect())
    }

    /// Returns the flat parameters, `[F]`, as [`Weights::from_flat`] reads them.
    pub fn flat(&self) -> Vec<f32> {
        let both = |conv: &Conv| {
            let (weight, bias) = self.conv(&conv.name);
            [&weight.values[..], &bias.values].concat()
        };
        self.0.convs().iter().flat_map(both).collect()
    }

    /// Returns the arrays by name.
    pub fn arrays(&self) -> &Arrays {
        &self.1
    }

    /// Returns the variant's layout.
    pub fn layout(&self) -> &'static Layout {
        self.0
    }

    /// Mixes `share` (0..1) of `other` into these weights. A share of 0 returns these weights unchanged.
    ///
    /// Mixing works for networks that started from the same weights: the mix behaves like a compromise between them.
    /// Source: `WiSE-FT`, <https://arxiv.org/abs/2109.01903>.
    ///
    /// # Panics
    ///
    /// If the variants differ.
    #[must_use]
    pub fn mixed(&self, other: &Self, share: f32) -> Self {
        let mix = |(name, own): (&String, &Array)| {
            let pairs = own.values.iter().zip(&other.1[name].values);
            // Copies equal numbers, because rounding could change them.
            let mix =
                |(a, b): (&f32, &f32)| if a == b { *a } else { a * (1.0 - share) + b * share };
            let values = pairs.map(mix).collect();
            (name.clone(), Array { shape: own.shape.clone(), values })
        };
        assert_eq!(self.0.variant, other.0.variant, "the variants must match");
        Self(self.0, self.1.iter().map(mix).collect())
    }

    /// Adds `logits` to every anchor's logit for a face, and changes nothing else.
    #[must_use]
    pub fn with_scores_shifted(&self, logits: f32) -> Self {
        let mut arrays = self.1.clone();
        // Adding 0 would turn -0 into 0.
        for name in SCORE_BIASES.iter().filter(|_| logits != 0.0) {
            let bias = arrays.get_mut(*name).expect("every variant has both heads");
            bias.values.iter_mut().for_each(|value| *value += logits);
        }
        Self(self.0, arrays)
    }

    /// Returns the weight and bias of a convolution, named as in [`Layout::convs`].
    pub fn conv(&self, name: &str) -> (&Array, &Array) {
        (&self.1[&format!("{name}.weight")], &self.1[&format!("{name}.bias")])
    }
}

/// Returns the back camera's variant if one of the names belongs only to it, else the short-range variant.
pub fn variant_of<'a>(mut names: impl Iterator<Item = &'a str>) -> Variant {
    let back = names.any(|name| name.starts_with("backbone.") || name.starts_with("final."));
    if back { Variant::Back } else { Variant::Short }
}

/// Returns the shape of every array of the folded network, by name.
pub fn shapes(layout: &Layout) -> BTreeMap<String, Vec<usize>> {
    let both = |conv: Conv| {
        let bias = (format!("{}.bias", conv.name), vec![conv.shape[0]]);
        [(format!("{}.weight", conv.name), conv.shape.to_vec()), bias]
    };
    layout.convs().into_iter().flat_map(both).collect()
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::super::layout::SHORT;
    use super::*;

    fn zeros() -> Arrays {
        zeros_of(&SHORT)
    }

    fn zeros_of(layout: &Layout) -> Arrays {
        let zero = |(name, shape): (String, Vec<usize>)| {
            let values = vec![0.0; shape.iter().product()];
            (name, Array { shape, values })
        };
        shapes(layout).into_iter().map(zero).collect()
    }

    #[test]
    fn a_mix_lies_between_its_parents_and_equals_one_at_either_end() {
        let filled = |value: f32| {
            let mut arrays = zeros();
            for array in arrays.values_mut() {
                array.values.fill(value);
            }
            Weights::new(arrays).unwrap()
        };
        let (a, b) = (filled(0.1), filled(0.7));
        assert_eq!((a.mixed(&b, 0.0), a.mixed(&b, 1.0)), (a.clone(), b.clone()));
        assert_eq!(a.mixed(&b, 0.5), filled(0.4));
    }

    #[test]
    fn a_shift_of_the_scores_changes_only_the_biases_of_the_logits() {
        for layout in Variant::ALL.map(Variant::layout) {
            let flat = vec![-0.0; Weights::new(zeros_of(layout)).unwrap().flat().len()];
            let weights = Weights::from_flat(layout, &flat).unwrap();
            let shifted = weights.with_scores_shifted(0.5);
            for (name, array) in shifted.arrays() {
                let is_logit = name.starts_with("classifier") && name.ends_with("bias");
                let expected = if is_logit { 0.5f32 } else { -0.0 };
                let same = array.values.iter().all(|value| value.to_bits() == expected.to_bits());
                assert!(same, "{name}");
            }
            let bits = |weights: &Weights| -> Vec<u32> {
                weights.flat().into_iter().map(f32::to_bits).collect()
            };
            assert_eq!(bits(&weights.with_scores_shifted(0.0)), bits(&weights));
        }
    }

    #[test]
    fn errors_name_missing_unexpected_and_misshapen_tensors() {
        assert!(Weights::new(zeros()).is_ok());
        let name = "regressor_8.bias".to_owned();

        let mut arrays = zeros();
        let bias = arrays.remove(&name).unwrap();
        assert_eq!(Weights::new(arrays.clone()), Err(LayoutError::Missing(vec![name.clone()])));

        arrays.insert(name.clone(), Array { shape: vec![8, 4], ..bias.clone() });
        let error = Weights::new(arrays.clone()).unwrap_err();
        let text = "tensor regressor_8.bias has shape [8, 4] instead of [32]";
        assert_eq!(error.to_string(), text);

        arrays.insert(name.clone(), Array { values: vec![f32::NAN; 32], ..bias.clone() });
        assert_eq!(Weights::new(arrays.clone()), Err(LayoutError::NotFinite(name.clone())));

        arrays.insert(name, bias);
        arrays.insert("extra".into(), Array { shape: vec![], values: vec![0.0] });
        assert_eq!(Weights::new(arrays), Err(LayoutError::Unexpected(vec!["extra".into()])));
    }
}
