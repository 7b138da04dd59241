//! Pictures imported a second, next to a Pillow loop over the same archive.

use std::ops::ControlFlow;
use std::path::Path;
use std::time::Instant;

use blazetune::data::import::import;
use blazetune::data::options::ImportOptions;
use serde_json::{Value, json};

use crate::table::Table;
use crate::{Effort, pictures, rival};

pub(crate) fn measure(folder: &Path, effort: &Effort, table: &mut Table) -> Value {
    eprintln!("import: {} pictures of a megapixel …", effort.imported);
    let archive = pictures::megapixels(folder, effort.imported);
    let size = std::fs::metadata(&archive).unwrap().len();
    let began = Instant::now();
    let options = ImportOptions::default();
    let set = folder.join("megapixels");
    import(&archive, &set, &options, &|_| ControlFlow::Continue(())).unwrap();
    let rate = effort.imported as f64 / began.elapsed().as_secs_f64();
    let pillow = rival(&["pillow", &archive.to_string_lossy()]);
    let pillow = pillow.and_then(|found| found["images_per_s"].as_f64());
    std::fs::remove_dir_all(set).unwrap();
    table.compare("import, 1-megapixel JPEG", rate, "pictures/s", "a Pillow loop", pillow);
    json!({
        "pictures": effort.imported, "bytes_a_picture": size / effort.imported as u64,
        "threads": options.threads, "images_per_s": rate, "pillow_images_per_s": pillow,
    })
}
