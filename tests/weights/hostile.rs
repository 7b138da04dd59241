//! Replays the seeds and the findings of fuzzing: `fuzz/corpus`, one folder for each reader.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use blazetune::weights::{self, WeightsError};
use zip::write::SimpleFileOptions;

/// Begins the container that PyTorch wrote before 1.6.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

/// The container that PyTorch has written since 1.6.
fn zipped(pickle: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("archive/data.pkl", pickle), ("archive/data/0", &[0; 96])] {
        zip.start_file(name, SimpleFileOptions::default()).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

#[test]
fn every_hostile_file_is_refused_with_an_error() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
    let mut files = 0;
    for entry in walkdir::WalkDir::new(corpus) {
        let file = entry.unwrap().into_path();
        if file.is_file() {
            let bytes = fs::read(&file).unwrap();
            // A bare pickle is not a weights file, but either of PyTorch's containers can hold it.
            for bytes in [zipped(&bytes), [MAGIC, &bytes].concat(), bytes] {
                let read = weights::load(&bytes);
                assert!(read.is_err(), "{} is accepted as weights", file.display());
            }
            files += 1;
        }
    }
    assert!(files >= 8, "only {files} files");
}

#[test]
fn a_pickle_that_would_run_a_program_is_refused_and_its_call_is_named() {
    let call = b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R.";
    for bytes in [zipped(call), [MAGIC, call].concat()] {
        let error = weights::load(&bytes).unwrap_err();
        assert!(matches!(error, WeightsError::Pickle(_)), "{error:?}");
        assert!(error.to_string().contains("os.system"), "{error}");
    }
}
