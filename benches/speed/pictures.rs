//! Pictures and data sets for the measurements, all drawn.

use std::fs::{self, File};
use std::io::{Cursor, Read, Write};
use std::path::{Path, PathBuf};

use blazetune::sample::{self, SampleSpec};
use image::codecs::jpeg::JpegEncoder;
use image::imageops::{FilterType, resize};
use image::{DynamicImage, Rgb, RgbImage};
use rayon::prelude::*;
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

/// Width and height of a one-megapixel picture.
const SIDES: (u32, u32) = (1152, 864);
/// Drawings from which the pictures are made.
const DRAWINGS: u32 = 40;

/// Writes a zip of `count` one-megapixel JPEG pictures, no two alike, and returns its path.
pub(crate) fn megapixels(folder: &Path, count: usize) -> PathBuf {
    let drawings: Vec<RgbImage> = drawings(folder)
        .par_iter()
        .map(|drawing| resize(drawing, SIDES.0, SIDES.1, FilterType::Triangle))
        .collect();
    let encoded = |number: usize| {
        let mut picture = drawings[number % drawings.len()].clone();
        grain(&mut picture, number as u32);
        jpeg(&picture, 85)
    };
    let pictures: Vec<Vec<u8>> = (0..count).into_par_iter().map(encoded).collect();
    let path = folder.join("megapixels.zip");
    let mut zip = ZipWriter::new(File::create(&path).unwrap());
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    for (number, bytes) in pictures.iter().enumerate() {
        zip.start_file(format!("{number}.jpg"), options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.start_file("annotations.csv", options).unwrap();
    let rows: Vec<String> =
        (0..count).map(|number| format!("{number}.jpg,400,300,200,250\n")).collect();
    zip.write_all(b"image_path,x1,y1,w,h\n").unwrap();
    zip.write_all(rows.concat().as_bytes()).unwrap();
    zip.finish().unwrap();
    path
}

fn drawings(folder: &Path) -> Vec<RgbImage> {
    let path = folder.join("drawings.zip");
    sample::write(&path, &SampleSpec { images: DRAWINGS, seed: 2 }, &mut |_| ()).unwrap();
    let mut zip = ZipArchive::new(File::open(path).unwrap()).unwrap();
    let mut drawings = Vec::new();
    for index in 0..zip.len() {
        let mut entry = zip.by_index(index).unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        drawings.extend(image::load_from_memory(&bytes).map(DynamicImage::into_rgb8));
    }
    drawings
}

/// Adds noise like a sensor's, different for each seed.
fn grain(picture: &mut RgbImage, seed: u32) {
    let mut state = seed.wrapping_mul(2_654_435_769) | 1;
    for Rgb(values) in picture.pixels_mut() {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        let noise = (state % 13) as i16 - 6;
        *values = values.map(|value| (i16::from(value) + noise).clamp(0, 255) as u8);
    }
}

pub(crate) fn jpeg(picture: &RgbImage, quality: u8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, quality).encode_image(picture).unwrap();
    bytes.into_inner()
}

/// Makes a data set with `count` training pictures by repeating those of `set`, which has fewer. Returns its folder.
pub(crate) fn repeated(folder: &Path, set: &Path, count: usize) -> PathBuf {
    let text = fs::read(set.join("manifest.json")).unwrap();
    let mut manifest: Value = serde_json::from_slice(&text).unwrap();
    let pictures = manifest["pictures"].as_array().unwrap().clone();
    let mut all = Vec::new();
    let mut trained = 0;
    for (number, picture) in pictures.iter().cycle().enumerate() {
        let times = number / pictures.len();
        let mut picture = picture.clone();
        picture["name"] = json!(format!("{times}/{}", picture["name"].as_str().unwrap()));
        if times > 0 {
            picture["split"] = json!("train");
        }
        trained += usize::from(picture["split"] == "train");
        all.push(picture);
        if trained == count {
            break;
        }
    }
    let into = folder.join(format!("set{count}"));
    fs::create_dir(&into).unwrap();
    for name in ["pictures.u8", "inputs.u8"] {
        let bytes = fs::read(set.join(name)).unwrap();
        let mut file = File::create(into.join(name)).unwrap();
        for _ in 0..all.len().div_ceil(pictures.len()) {
            file.write_all(&bytes).unwrap();
        }
        file.set_len((bytes.len() / pictures.len() * all.len()) as u64).unwrap();
    }
    manifest["pictures"] = json!(all);
    fs::write(into.join("manifest.json"), manifest.to_string()).unwrap();
    into
}
