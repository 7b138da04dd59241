//! `.pth` as `torch.save` writes a state dict: a zip of one pickle and one file a tensor.

use std::io::{Cursor, Read, Write};

use half::f16;
use zip::read::ZipArchive;
use zip::write::SimpleFileOptions;

use super::WeightsError;
use super::pickle::{self, TensorRef, Value};
use crate::model::layout::convs;
use crate::model::tensors::{Array, Arrays, Weights};

/// No file within a state dict of this network is larger.
const MAX_ENTRY_BYTES: u64 = 16 << 20;

/// The file's bytes: the published port's names, in its order, in 32 bits.
///
/// # Errors
///
/// [`WeightsError::Zip`], which writing to memory does not cause.
pub fn write(weights: &Weights) -> Result<Vec<u8>, WeightsError> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // PyTorch maps tensors from the file, so they are stored as they are, and aligned.
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .with_alignment(64);
    let names: Vec<String> = convs()
        .iter()
        .flat_map(|conv| ["weight", "bias"].map(|what| format!("{}.{what}", conv.name)))
        .collect();
    let mut put = |name: &str, bytes: &[u8]| -> Result<(), WeightsError> {
        zip.start_file(format!("archive/{name}"), options)?;
        Ok(zip.write_all(bytes)?)
    };
    put("data.pkl", &state_dict(weights, &names))?;
    put("byteorder", b"little")?;
    for (number, name) in names.iter().enumerate() {
        let values = &weights.arrays()[name].values;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        put(&format!("data/{number}"), &bytes)?;
    }
    put("version", b"3\n")?;
    Ok(zip.finish()?.into_inner())
}

/// `OrderedDict([(name, _rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict())), …])`.
fn state_dict(weights: &Weights, names: &[String]) -> Vec<u8> {
    const ORDERED_DICT: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut out = [b"\x80\x02".as_slice(), ORDERED_DICT, b"("].concat();
    for (number, name) in names.iter().enumerate() {
        let array = &weights.arrays()[name];
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &number.to_string());
        text(&mut out, "cpu");
        integer(&mut out, array.values.len());
        out.extend(b"tQ");
        integer(&mut out, 0);
        tuple(&mut out, &array.shape);
        tuple(&mut out, &strides(&array.shape));
        out.push(0x89); // False: needs no gradient
        out.extend(ORDERED_DICT);
        out.extend(b"tR");
    }
    out.extend(b"u.");
    out
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.push(b'X');
    out.extend((text.len() as u32).to_le_bytes());
    out.extend(text.as_bytes());
}

fn integer(out: &mut Vec<u8>, value: usize) {
    out.push(b'J');
    out.extend((value as i32).to_le_bytes());
}

fn tuple(out: &mut Vec<u8>, values: &[usize]) {
    out.push(b'(');
    values.iter().for_each(|&value| integer(out, value));
    out.push(b't');
}

/// Of a contiguous array.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|dim| shape[dim + 1..].iter().product()).collect()
}

/// Reads a state dict, also one within a training checkpoint (`model_state_dict`, `state_dict`).
///
/// # Errors
///
/// [`WeightsError`] when it is damaged, of another network, or asks for anything a state dict
/// does not need. Nothing in it is ever executed.
pub fn read(bytes: &[u8]) -> Result<Weights, WeightsError> {
    let mut zip = ZipArchive::new(Cursor::new(bytes))?;
    let pickle_name = zip.file_names().find(|name| name.ends_with("/data.pkl")).map(str::to_owned);
    let pickle_name = pickle_name.ok_or(WeightsError::NoPickle)?;
    let folder = pickle_name.trim_end_matches("data.pkl").to_owned();
    let mut root = pickle::load(&entry(&mut zip, &pickle_name)?)?;
    for key in ["model_state_dict", "state_dict"] {
        root = get(&root, key).unwrap_or(root);
    }
    let Value::Dict(items) = root else { return Err(WeightsError::NoStateDict) };
    let mut arrays = Arrays::new();
    for (name, value) in items.borrow().iter() {
        let (Value::Text(name), Value::Tensor(tensor)) = (name, value) else { continue };
        let values = entry(&mut zip, &format!("{folder}data/{}", tensor.storage))?;
        arrays.insert(name.to_string(), array(name, tensor, &values)?);
    }
    Ok(Weights::new(arrays)?)
}

fn get(dict: &Value, key: &str) -> Option<Value> {
    let Value::Dict(items) = dict else { return None };
    let items = items.borrow();
    let found = items.iter().find(|(name, _)| matches!(name, Value::Text(text) if &**text == key));
    found.map(|(_, value)| value.clone())
}

fn entry(zip: &mut ZipArchive<Cursor<&[u8]>>, name: &str) -> Result<Vec<u8>, WeightsError> {
    let file = zip.by_name(name)?;
    let mut bytes = Vec::new();
    file.take(MAX_ENTRY_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_ENTRY_BYTES {
        return Err(WeightsError::TooLarge(name.to_owned()));
    }
    Ok(bytes)
}

/// Follows shape and strides into the storage; every index is checked.
fn array(name: &str, tensor: &TensorRef, storage: &[u8]) -> Result<Array, WeightsError> {
    let bad = || WeightsError::Extent(name.to_owned());
    let lengths: Result<Vec<usize>, _> = tensor.shape.iter().map(|&n| usize::try_from(n)).collect();
    let shape = lengths.map_err(|_| bad())?;
    let count = shape.iter().try_fold(1usize, |product, &n| product.checked_mul(n)).ok_or_else(bad)?;
    if count as u64 > MAX_ENTRY_BYTES / 4 || tensor.stride.len() != shape.len() {
        return Err(bad());
    }
    let at = |mut index: usize| {
        let mut position = tensor.offset;
        for (&length, &stride) in shape.iter().zip(&tensor.stride).rev() {
            let step = i64::try_from(index % length).ok()?.checked_mul(stride)?;
            position = position.checked_add(step)?;
            index /= length;
        }
        element(&tensor.storage_type, storage, usize::try_from(position).ok()?)
    };
    let values: Option<Vec<f32>> = (0..count).map(at).collect();
    Ok(Array { values: values.ok_or_else(bad)?, shape })
}

fn element(kind: &str, storage: &[u8], index: usize) -> Option<f32> {
    match kind {
        "torch.FloatStorage" => storage.as_chunks().0.get(index).map(|&b| f32::from_le_bytes(b)),
        "torch.HalfStorage" => {
            storage.as_chunks().0.get(index).map(|&b| f16::from_le_bytes(b).to_f32())
        }
        "torch.DoubleStorage" => {
            storage.as_chunks().0.get(index).map(|&b| f64::from_le_bytes(b) as f32)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tflite;
    use super::*;

    #[test]
    fn what_is_written_is_read_back_to_the_bit() {
        let weights = tflite::mediapipe();
        assert_eq!(&read(&write(weights).unwrap()).unwrap(), weights);
    }

    #[test]
    fn a_pickle_that_calls_something_else_is_refused_by_name() {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        zip.start_file("archive/data.pkl", SimpleFileOptions::default()).unwrap();
        zip.write_all(b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.").unwrap();
        let error = read(&zip.finish().unwrap().into_inner()).unwrap_err();
        assert!(error.to_string().contains("posix.system"), "{error}");
    }

    #[test]
    fn truncated_and_altered_files_are_errors_not_panics() {
        let bytes = write(tflite::mediapipe()).unwrap();
        for length in (0..bytes.len()).step_by(4099) {
            assert!(read(&bytes[..length]).is_err());
        }
        for at in (0..12_000).step_by(7) {
            let mut altered = bytes.clone();
            altered[at] ^= 0x55;
            let _ = read(&altered); // Either way is fine.
        }
    }
}
