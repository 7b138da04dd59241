//! Named arrays: the folded network's weights as files hold them.

use std::collections::BTreeMap;

use super::layout;

/// An array of `f32`, row-major.
#[derive(Debug, Clone, PartialEq)]
pub struct Array {
    /// Lengths, outermost first; empty for a scalar.
    pub shape: Vec<usize>,
    /// As many as the product of `shape`.
    pub values: Vec<f32>,
}

/// Arrays by name.
pub type Arrays = BTreeMap<String, Array>;

/// The folded network: 74 arrays under the published `PyTorch` names, in `PyTorch`'s shapes.
/// Complete, finite and of the right shapes by construction.
#[derive(Clone, PartialEq)]
pub struct Weights(Arrays);

impl std::fmt::Debug for Weights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Weights({} arrays)", self.0.len()) // A hundred thousand numbers help nobody.
    }
}

/// Arrays that are not this network's weights.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LayoutError {
    /// Some are not there.
    #[error("missing tensors: {}", .0.join(", "))]
    Missing(Vec<String>),
    /// Some are there that the network has no place for.
    #[error("unexpected tensors: {}", .0.join(", "))]
    Unexpected(Vec<String>),
    /// One has another shape.
    #[error("tensor {name} has shape {found:?} where {expected:?} is needed")]
    Shape {
        /// Its name.
        name: String,
        /// Its shape.
        found: Vec<usize>,
        /// The network's.
        expected: Vec<usize>,
    },
    /// One holds a NaN or an infinity.
    #[error("tensor {0} holds values that are not finite")]
    NotFinite(String),
}

impl Weights {
    /// Checks names, shapes and values.
    ///
    /// # Errors
    ///
    /// [`LayoutError`] for the first kind of trouble met.
    pub fn new(arrays: Arrays) -> Result<Self, LayoutError> {
        let expected = shapes();
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
        Ok(Self(arrays))
    }

    /// The arrays by name.
    pub fn arrays(&self) -> &Arrays {
        &self.0
    }

    /// Number by number `share` (0..1) of `other` and the rest of these. 0 gives exactly these.
    ///
    /// Networks that share their beginnings can be mixed like this and lie between both in what they
    /// find. Source: `WiSE-FT`, <https://arxiv.org/abs/2109.01903>.
    #[must_use]
    pub fn mixed(&self, other: &Self, share: f32) -> Self {
        let mix = |(name, own): (&String, &Array)| {
            let pairs = own.values.iter().zip(&other.0[name].values);
            let values = pairs.map(|(a, b)| a * (1.0 - share) + b * share).collect();
            (name.clone(), Array { shape: own.shape.clone(), values })
        };
        Self(self.0.iter().map(mix).collect())
    }

    /// `name` as in [`layout::convs`]; weight and bias.
    pub fn conv(&self, name: &str) -> (&Array, &Array) {
        (&self.0[&format!("{name}.weight")], &self.0[&format!("{name}.bias")])
    }
}

/// The shape of every array of the folded network, by name.
pub fn shapes() -> BTreeMap<String, Vec<usize>> {
    let both = |conv: layout::Conv| {
        let bias = (format!("{}.bias", conv.name), vec![conv.shape[0]]);
        [(format!("{}.weight", conv.name), conv.shape.to_vec()), bias]
    };
    layout::convs().into_iter().flat_map(both).collect()
}

fn names<'a>(names: impl Iterator<Item = &'a String>) -> Vec<String> {
    names.cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zeros() -> Arrays {
        let zero = |(name, shape): (String, Vec<usize>)| {
            let values = vec![0.0; shape.iter().product()];
            (name, Array { shape, values })
        };
        shapes().into_iter().map(zero).collect()
    }

    #[test]
    fn a_mix_lies_between_its_parents_and_at_its_ends_is_one_of_them() {
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
    fn what_is_missing_unexpected_or_misshapen_is_named() {
        assert!(Weights::new(zeros()).is_ok());
        let name = "regressor_8.bias".to_owned();

        let mut arrays = zeros();
        let bias = arrays.remove(&name).unwrap();
        assert_eq!(Weights::new(arrays.clone()), Err(LayoutError::Missing(vec![name.clone()])));

        arrays.insert(name.clone(), Array { shape: vec![8, 4], ..bias.clone() });
        let error = Weights::new(arrays.clone()).unwrap_err();
        let text = "tensor regressor_8.bias has shape [8, 4] where [32] is needed";
        assert_eq!(error.to_string(), text);

        arrays.insert(name.clone(), Array { values: vec![f32::NAN; 32], ..bias.clone() });
        assert_eq!(Weights::new(arrays.clone()), Err(LayoutError::NotFinite(name.clone())));

        arrays.insert(name, bias);
        arrays.insert("extra".into(), Array { shape: vec![], values: vec![0.0] });
        assert_eq!(Weights::new(arrays), Err(LayoutError::Unexpected(vec!["extra".into()])));
    }
}
