//! What several benchmarks need.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use blazetune::data::import::import;
use blazetune::data::options::ImportOptions;
use blazetune::sample::{self, SampleSpec};

/// Draws `count` pictures and imports them. Returns the data set's folder.
pub(crate) fn drawn(folder: &Path, count: u32) -> PathBuf {
    let (zip, set) = (folder.join("drawn.zip"), folder.join("drawn"));
    sample::write(&zip, &SampleSpec { images: count, seed: 1 }, &mut |_| ()).unwrap();
    import(&zip, &set, &ImportOptions::default(), &|_| ControlFlow::Continue(())).unwrap();
    set
}
