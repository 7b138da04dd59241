//! The readers of labels, and what they lean on.

use std::io::Read;

#[path = "../../src/data/names/difference.rs"]
mod difference;
#[path = "../../src/data/extensions.rs"]
mod extensions;
#[path = "../../src/data/labels/mod.rs"]
mod labels;
#[path = "../../src/data/report.rs"]
mod report;
#[path = "../../src/data/reporter.rs"]
mod reporter;

use self::labels::yolo::DataYaml;
use self::labels::{Face, LabelFile, LabelFormat, LabelOptions, LabelTable, Unread};
use self::reporter::Reporter;

/// Where the readers look for a face's difficulty.
mod manifest {
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Difficulty {
        Easy,
        Medium,
        Hard,
    }
}

mod names {
    pub(in crate::data) use super::difference::Difference;
}

const EXTENSIONS: [&str; 6] = ["csv", "json", "xml", "txt", "pts", "yaml"];

/// Reads a label file as an import does, and checks what the import takes for granted: every row is accounted for, and
/// boxes are finite. The first byte chooses the file's extension.
pub fn read_labels(bytes: &[u8]) {
    let Some((&first, mut content)) = bytes.split_first() else { return };
    let path = format!("train/a.{}", EXTENSIONS[usize::from(first) % EXTENSIONS.len()]);
    let mut bytes = Vec::new();
    labels::without_pictures(&path, &mut content).read_to_end(&mut bytes).unwrap();
    let file = LabelFile::new(path, &bytes);
    if file.path.ends_with("yaml") {
        let yaml = DataYaml::read(&file).unwrap_or_default();
        let text = "0 .5 .5 .4 .4 .4 .4 .6 .4 .5 .5 .45 .6 .55 .6\n".to_owned();
        let labels = LabelFile { path: "a.txt".to_owned(), text };
        check(&read(LabelFormat::Yolo, &labels, &yaml));
    } else if let Some(format) = labels::format_of(&file) {
        check(&read(format, &file, &DataYaml::default()));
    }
}

fn read(format: LabelFormat, file: &LabelFile, yaml: &DataYaml) -> Result<Vec<LabelTable>, Unread> {
    let (options, report) = (LabelOptions::default(), Reporter::default());
    let (folder, files) = ("train".to_owned(), [file]);
    let table = match format {
        LabelFormat::Csv => labels::read(file, &options, report),
        LabelFormat::Coco => labels::coco::read(file, &options, report),
        LabelFormat::Voc => labels::voc::read(folder, &files, &options, report),
        LabelFormat::Yolo => labels::yolo::read(folder, &files, yaml, &options, report),
        LabelFormat::Wider => labels::wider::read(file, report),
        LabelFormat::Cvat | LabelFormat::CvatVideo => {
            let tables = labels::cvat::read(file, format, &options, &report)?;
            return Ok(tables.into_iter().map(|(_, table)| table).collect());
        }
        LabelFormat::LabelMe => labels::labelme::read(folder, &files, &options, report),
        LabelFormat::LabelStudio => labels::label_studio::read(file, &options, report),
        LabelFormat::RetinaFace | LabelFormat::Scrfd => {
            labels::retinaface::read(file, format, report)
        }
        LabelFormat::Points => Ok(labels::points::read(folder, &files, report)),
    };
    Ok(vec![table?])
}

fn check(read: &Result<Vec<LabelTable>, Unread>) {
    let Ok(tables) = read else { return };
    let (mut given, mut lost) = (0, 0);
    let (mut unusable, mut nameless) = (0, 0);
    for table in tables {
        assert_eq!(table.given, table.rows.len() as u64 + table.nameless);
        given += table.given;
        nameless += table.nameless;
        lost += table.report.told.rows.left_out.values().sum::<u64>();
        for row in &table.rows {
            let points = row.keypoints.iter().flatten().flatten();
            assert!(points.copied().all(f32::is_finite), "{row:?}");
            match row.face {
                Face::At(numbers) | Face::Ignored(numbers) => {
                    assert!(numbers.iter().all(|number| number.is_finite()), "{row:?}");
                    let [_, _, width, height] = table.shape.to_xywh(numbers);
                    assert!(width > 0.0 && height > 0.0, "{row:?}");
                }
                Face::Unknown | Face::Other => unusable += 1,
                Face::None | Face::Zeros => {}
            }
        }
    }
    assert_eq!(lost, unusable + nameless, "of {given} rows");
}
