//! `.pth` as `torch.save` writes a state dict: a zip of one pickle and one file per tensor.

use std::borrow::Cow;
use std::io::{Cursor, Read, Write};

use zip::read::ZipArchive;
use zip::write::SimpleFileOptions;

use super::WeightsError;
use super::pickle;
use super::state_dict;
use crate::model::tensors::{Array, Arrays, Weights};

/// No pickle of a state dict or a checkpoint of this network is larger.
const MAX_PICKLE_BYTES: u64 = 1 << 20;
/// Nor is any tensor's storage, though it may hold a whole optimizer's state.
const MAX_STORAGE_BYTES: u64 = 16 << 20;
/// The most bytes to unpack from one file in all.
const MAX_UNPACKED_BYTES: u64 = 64 << 20;

/// The file's bytes: the published port's names, in its order, in 32 bits.
///
/// # Errors
///
/// [`WeightsError::Zip`], which writing to memory does not cause.
pub fn write(weights: &Weights) -> Result<Vec<u8>, WeightsError> {
    let convs = weights.layout().convs();
    let both = convs
        .iter()
        .flat_map(|conv| ["weight", "bias"].map(|what| format!("{}.{what}", conv.name)));
    let names: Vec<String> = both.collect();
    write_named(&names, weights.arrays())
}

/// Like [`write()`], with BatchNorm as [`super::checkpoint::unfolded`] has it.
///
/// # Errors
///
/// The same as [`write()`].
pub fn write_unfolded(arrays: &Arrays) -> Result<Vec<u8>, WeightsError> {
    let names: Vec<String> = arrays.keys().cloned().collect();
    write_named(&names, arrays)
}

fn write_named(names: &[String], arrays: &Arrays) -> Result<Vec<u8>, WeightsError> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    // PyTorch maps tensors from the file, so they are stored as they are, and aligned.
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

/// `OrderedDict([(name, _rebuild_tensor_v2(storage, 0, shape, stride, False, OrderedDict())), …])`.
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
    for &value in values {
        integer(out, value);
    }
    out.push(b't');
}

/// Strides of a contiguous array.
fn strides(shape: &[usize]) -> Vec<usize> {
    (0..shape.len()).map(|dim| shape[dim + 1..].iter().product()).collect()
}

/// Reads a state dict, also one within a training checkpoint (`model_state_dict`, `state_dict`,
/// `model`), from a zip.
///
/// # Errors
///
/// [`WeightsError`] when it is damaged, of another network, or asks for anything a state dict
/// does not need. Nothing in it is ever executed.
pub fn read(bytes: &[u8]) -> Result<Weights, WeightsError> {
    let mut archive = Archive::open(bytes)?;
    let pickled = archive.entry("data.pkl", MAX_PICKLE_BYTES)?;
    let pickle = pickle::load(&pickled)?;
    state_dict::read(&pickle, &mut |storage| {
        archive.entry(&format!("data/{storage}"), MAX_STORAGE_BYTES).map(Cow::Owned)
    })
}

/// The zip, and the one folder in it.
struct Archive<'a> {
    zip: ZipArchive<Cursor<&'a [u8]>>,
    folder: String,
    /// What may still be unpacked.
    budget_bytes: u64,
}

impl<'a> Archive<'a> {
    fn open(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        let zip = ZipArchive::new(Cursor::new(bytes))?;
        let folder = zip.file_names().find_map(|name| name.strip_suffix("data.pkl"));
        let folder = folder.ok_or(WeightsError::NoPickle)?.to_owned();
        let mut archive = Self { zip, folder, budget_bytes: MAX_UNPACKED_BYTES };
        // Files older than PyTorch 2.1 do not say; they are little-endian but for rare machines.
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
    fn what_is_written_is_read_back_to_the_bit() {
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

    /// `{name: a float tensor}`, with `rest` being offset, shape and stride.
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
    fn a_pickle_that_calls_something_else_is_refused_by_name() {
        let pickle = b"\x80\x02cposix\nsystem\nX\x02\x00\x00\x00id\x85R.";
        let error = read(&zip_of(&[("archive/data.pkl", pickle)])).unwrap_err();
        assert!(error.to_string().contains("posix.system"), "{error}");
    }

    #[test]
    fn a_tensor_that_reaches_beyond_its_storage_is_an_error() {
        let storage = [0; 24 * 4];
        let bias = |rest: &[u8]| {
            let pickle = tensor_pickle("backbone1.0.bias", rest);
            read(&zip_of(&[("a/data.pkl", &pickle), ("a/data/0", &storage)])).unwrap_err()
        };
        // Offset, shape and stride of one value each: K is a byte, J four, with a sign.
        assert!(matches!(bias(b"K\x00K\x18\x85K\x01\x85"), WeightsError::Layout(_))); // Fits.
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
    fn tensors_of_another_network_are_named_and_not_unpacked() {
        // 2³¹ − 1 values out of one, by a stride of zero.
        let pickle = tensor_pickle("huge", b"K\x00J\xff\xff\xff\x7f\x85K\x00\x85");
        let error = read(&zip_of(&[("a/data.pkl", &pickle), ("a/data/0", &[0; 4])])).unwrap_err();
        assert!(error.to_string().starts_with("missing tensors: backbone1.0.weight"), "{error}");
    }

    #[test]
    fn an_entry_that_unpacks_to_too_much_is_refused() {
        let bomb = vec![0; (MAX_STORAGE_BYTES + 1) as usize];
        let pickle = tensor_pickle("backbone1.0.bias", b"K\x00K\x18\x85K\x01\x85");
        let error = read(&zip_of(&[("a/data.pkl", &pickle), ("a/data/0", &bomb)])).unwrap_err();
        assert!(matches!(error, WeightsError::TooLarge(name) if name == "data/0"));
        let error = read(&zip_of(&[("a/data.pkl", &bomb)])).unwrap_err();
        assert!(matches!(error, WeightsError::TooLarge(name) if name == "data.pkl"));
    }

    #[test]
    fn a_big_endian_file_is_refused_rather_than_misread() {
        let error = read(&zip_of(&[("a/data.pkl", b"N."), ("a/byteorder", b"big")])).unwrap_err();
        assert!(matches!(error, WeightsError::BigEndian));
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
