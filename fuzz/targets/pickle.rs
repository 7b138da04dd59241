//! Puts the input as the pickle into a zip with correct checksums, next to one storage.
#![no_main]

use std::io::{Cursor, Write};

use zip::write::SimpleFileOptions;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let options = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in [("a/data.pkl", bytes), ("a/data/0", &[0; 96])] {
        zip.start_file(name, options).expect("to memory");
        zip.write_all(content).expect("to memory");
    }
    let file = zip.finish().expect("to memory").into_inner();
    let _ = blazetune_fuzz::weights::load(&file);
});
