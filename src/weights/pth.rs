//! Reads and writes `.pth` as `torch.save` writes a state dict: a zip of one pickle and one file per storage.

use std::borrow::Cow;
use std::io::{Cursor, Read, Write};

use zip::read::ZipArchive;
use zip::write::SimpleFileOptions;

use super::WeightsError;
use super::pickle;
use super::state_dict;
use crate::model::tensors::{Array, Arrays, Weights};

/// Size limit of a pickle. This network's state dicts and checkpoints have smaller pickles.
const MAX_PICKLE_BYTES: u64 = 1 << 20;
/// Size limit of a storage, which may contain a whole optimizer's state.
const MAX_STORAGE_BYTES: u64 = 16 << 20;
/// Maximum number of bytes to unpack from one file.
const MAX_UNPACKED_BYTES: u64 = 64 << 20;

/// Returns the file's bytes: 32-bit tensors with the published port's names, in the port's order.
///
/// # Errors
///
/// [`WeightsError::Zip`], which writing to memory never causes.
pub fn write(weights: &Weights) -> Result<Vec<u8>, WeightsError> {
    let convs = weights.layout().convs();
    let both = convs
        .iter()
        .flat_map(|conv| ["weight", "bias"].map(|what| format!("{}.{what}", conv.name)));
    let names: Vec<String> = both.collect();
    write_named(&names, weights.arrays())
}

/// Like [`write()`], but for the arrays with BatchNorm from [`super::checkpoint::unfolded`].
///
/// # Errors
///
/// Same as [`write()`].
pub fn write_unfolded(arrays: &Arrays) -> Result<Vec<u8>, WeightsError> {
    let names: Vec<String> = arrays.keys().cloned().collect();
    write_named(&names, arrays)
}

fn write_named(names: &[String], arrays: &Arrays) -> Result<Vec<u8>, WeightsError> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // PyTorch can memory-map tensors, so they are stored uncompressed and aligned.
    let options = SimpleFileOptions::default()
        .compression_method(zip::CompressionMethod::Stored)
        .with_alignment(64);
    let mut put = |name: &str, bytes: &[u8]| -> Result<(), WeightsError> {
        zip.start_file(format!("archive/{name}"), options)?;
        Ok(zip.write_all(bytes)?)
    };
    put("data.pkl", &pickled(names, arrays))?;
    put("byteorder", b"little")?;
    for (number, name) in names.iter().enumerate() {
        let values = &arrays[name].values;
        let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        put(&format!("data/{number}"), &bytes)?;
    }
    put("version", b"3\n")?;
    Ok(zip.finish()?.into_inner())
}

/// Pickles `OrderedDict([(name, _rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict())), …])`.
fn pickled(names: &[String], arrays: &Arrays) -> Vec<u8> {
    const ORDERED_DICT: &[u8] = b"ccollections\nOrderedDict\n)R";
    let mut out = [b"\x80\x02".as_slice(), ORDERED_DICT, b"("].concat();
    for (number, name) in names.iter().enumerate() {
        let Array { shape, values } = &arrays[name];
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, &number.to_string());
        text(&mut out, "cpu");
        integer(&mut out, values.len());
        out.extend(b"tQ");
        integer(&mut out, 0);
        tuple(&mut out, shape);
        tuple(&mut out, &strides(shape));
        out.push(0x89); // NEWFALSE: requires_grad
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
    for &value in values {
        integer(out, value);
    }
    out.push(b't');
}

/// Returns the strides of a contiguous array.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|dim| shape[dim + 1..].iter().product()).collect()
}

/// Reads a state dict from a zip. The state dict may be in a training checkpoint, as `model_state_dict`, `state_dict`
/// or `model`.
///
/// # Errors
///
/// [`WeightsError`] if the file is damaged, belongs to another network, or uses anything that a state dict does not
/// need. Nothing in the file is ever executed.
pub fn read(bytes: &[u8]) -> Result<Weights, WeightsError> {
    let mut archive = Archive::open(bytes)?;
    let pickled = archive.entry("data.pkl", MAX_PICKLE_BYTES)?;
    let pickle = pickle::load(&pickled)?;
    state_dict::read(&pickle, &mut |storage| {
        archive.entry(&format!("data/{storage}"), MAX_STORAGE_BYTES).map(Cow::Owned)
    })
}

/// A zip and the folder in it that contains the entries.
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    folder: String,
    /// Bytes that may still be unpacked.
    budget_bytes: u64,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let zip = ZipArchive::new(Cursor::new(bytes))?;
        let folder = zip.file_names().find_map(|name| name.strip_suffix("data.pkl"));
        let folder = folder.ok_or(WeightsError::NoPickle)?.to_owned();
        let mut archive = Self { zip, folder, budget_bytes: MAX_UNPACKED_BYTES };
        // Files from before PyTorch 2.1 do not state their byte order. Nearly all of them are little-endian.
        match archive.entry("byteorder", 8) {
            Ok(order) if order == b"big" => Err(WeightsError::BigEndian),
            _ => Ok(archive),
        }
    }

    fn entry(&mut self, name: &str, max_bytes: u64) -> Result<Vec<u8>, WeightsError> {
        let file = self.zip.by_name(&format!("{}{name}", self.folder))?;
        let max_bytes = max_bytes.min(self.budget_bytes);
        let mut bytes = Vec::new();
        file.take(max_bytes + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max_bytes {
            return Err(WeightsError::TooLarge(name.to_owned()));
        }
        self.budget_bytes -= bytes.len() as u64;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tflite;
    use super::*;

    #[test]
    fn weights_survive_a_round_trip_bit_for_bit() {
        let weights = tflite::mediapipe();
        assert_eq!(&read(&write(weights).unwrap()).unwrap(), weights);
    }

    fn zip_of(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            zip.start_file(*name, SimpleFileOptions::default()).unwrap();
            zip.write_all(bytes).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    /// Pickles `{name: float tensor}`, where `rest` is the tensor's pickled offset, shape and stride.
    fn tensor_pickle(name: &str, rest: &[u8]) -> Vec<u8> {
        let mut out = b"\x80\x02}".to_vec();
        text(&mut out, name);
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        text(&mut out, "storage");
        out.extend(b"ctorch\nFloatStorage\n");
        text(&mut out, "0");
        [&out, b"tQ".as_slice(), rest, b"tRs."].concat()
    }

    #[test]
    fn the_error_for_a_disallowed_call_names_the_function() {
        let pickle = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.";
        let error = read(&zip_of(&[("archive/data.pkl", pickle)])).unwrap_err();
        assert!(error.to_string().contains("posix.system"), "{error}");
    }

    #[test]
    fn a_tensor_that_extends_beyond_its_storage_is_rejected() {
        let storage = [0; 24 * 4];
        let bias = |rest: &[u8]| {
            let pickle = tensor_pickle("backbone1.0.bias", rest);
            read(&zip_of(&[("a/data.pkl", &pickle), ("a/data/0", &storage)])).unwrap_err()
        };
        // Offset, one-dimensional shape and stride. K is an unsigned byte, J a signed 32-bit integer.
        assert!(matches!(bias(b"K\x00K\x18\x85K\x01\x85"), WeightsError::Layout(_))); // It fits.
        for outside in [
            b"K\x01K\x18\x85K\x01\x85".as_slice(),
            b"K\x00K\x18\x85K\x02\x85",
            b"J\xff\xff\xff\xffK\x18\x85K\x01\x85",
            b"K\x00K\x18\x85J\xff\xff\xff\x7f\x85",
            b"K\x00K\x18\x85)",
        ] {
            assert!(matches!(bias(outside), WeightsError::Extent(_)), "{outside:?}");
        }
    }

    #[test]
    fn tensors_of_another_network_are_not_unpacked() {
        // A stride of 0 makes 2³¹ − 1 values out of one.
        let pickle = tensor_pickle("huge", b"K\x00J\xff\xff\xff\x7f\x85K\x00\x85");
        let error = read(&zip_of(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 4])])).unwrap_err();
        assert!(error.to_string().starts_with("missing tensors: backbone1.0.weight"), "{error}");
    }

    #[test]
    fn an_entry_that_unpacks_to_too_many_bytes_is_rejected() {
        let bomb = vec![0; (MAX_STORAGE_BYTES + 1) as usize];
        let pickle = tensor_pickle("backbone1.0.bias", b"K\x00K\x18\x85K\x01\x85");
        let error = read(&zip_of(&[("a/data.pkl", &pickle), ("a/data/0", &bomb)])).unwrap_err();
        assert!(matches!(error, WeightsError::TooLarge(name) if name == "data/0"));
        let error = read(&zip_of(&[("a/data.pkl", &bomb)])).unwrap_err();
        assert!(matches!(error, WeightsError::TooLarge(name) if name == "data.pkl"));
    }

    #[test]
    fn a_big_endian_file_is_rejected() {
        let error = read(&zip_of(&[("a/data.pkl", b"N."), ("a/byteorder", b"big")])).unwrap_err();
        assert!(matches!(error, WeightsError::BigEndian));
    }

    #[test]
    fn truncated_and_altered_files_cause_no_panic() {
        let bytes = write(tflite::mediapipe()).unwrap();
        for length in (0..bytes.len()).step_by(4099) {
            assert!(read(&bytes[..length]).is_err());
        }
        for at in (0..12_000).step_by(7) {
            let mut altered = bytes.clone();
            altered[at] ^= 0x55;
            let _ = read(&altered); // Success and failure are both fine.
        }
    }
}
