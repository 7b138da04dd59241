//! Writes the output folder that `--out` names.

use std::fs;
use std::io;
use std::path::Path;

use blazetune::worker::report::{self, ReportSources, SUFFIXES};

/// Writes the report and drawings, and replaces those of an earlier run.
pub(super) fn write(out: &Path, content: &ReportSources<'_>) -> io::Result<()> {
    for (suffix, _) in SUFFIXES.iter().zip(content.evaluations) {
        let folder = out.join(format!("worst{suffix}"));
        fs::create_dir_all(&folder)?;
        remove_drawings(&folder)?;
    }
    report::write(out, content, &drawing)?;
    Ok(())
}

/// Returns the path of a drawing, such as `worst/01_name.jpg`; the worst picture has number 01.
fn drawing(suffix: &str, place: usize, picture: &str) -> String {
    let stem = Path::new(picture).file_stem().unwrap_or_default().to_string_lossy();
    format!("worst{suffix}/{place:02}_{stem}.jpg")
}

/// Removes the drawings of an earlier run and nothing else.
fn remove_drawings(folder: &Path) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_numbered = matches!(name.as_bytes(), [b'0'..=b'9', b'0'..=b'9', b'_', ..]);
        if is_numbered && name.ends_with(".jpg") {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}
