//! YOLO text: one file per picture, one line per object. A line holds a class, then the centre, width and height of the
//! box as fractions of the picture, and sometimes landmarks; or a class and a polygon.
//!
//! Source: Ultralytics' documentation of its detection, segmentation and pose data sets.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::categories::keep_faces;
use super::columns::KEYPOINTS;
use super::format::{LabelFile, LabelFormat, Unread, table};
use super::shapes::from_landmarks;
use super::{BoxShape, Face, LabelOptions, LabelTable, Row, Units};
use crate::data::reporter::Reporter;
use crate::geometry::Keypoints;

/// How many numbers follow the class: for a box, and for a box with a score.
const BOX: usize = 4;
const BOX_AND_SCORE: usize = 5;
/// Eyes, nose and corners of the mouth, in the order of `RetinaFace` and similar models: the viewer's left first.
const LANDMARKS: usize = 5;

/// The content of `data.yaml`.
#[derive(Debug, Default, Deserialize)]
pub(in crate::data) struct DataYaml {
    #[serde(default)]
    names: Names,
    /// Number of keypoints, and numbers per keypoint: 2, or 3 if they include visibility.
    #[serde(default)]
    kpt_shape: Option<[usize; 2]>,
    /// Names of the keypoints, in order.
    #[serde(default)]
    kpt_names: KeypointNames,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum KeypointNames {
    OfClasses(BTreeMap<u32, Vec<String>>),
    Unknown(IgnoredAny),
}

impl Default for KeypointNames {
    fn default() -> Self {
        Self::OfClasses(BTreeMap::new())
    }
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Names {
    List(Vec<String>),
    Map(BTreeMap<u32, String>),
}

impl Default for Names {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

impl DataYaml {
    /// Reads `data.yaml`, or Darknet's `obj.names` with one name per line.
    pub(in crate::data) fn read(file: &LabelFile) -> Option<Self> {
        let LabelFile { path, text } = file;
        if path.to_lowercase().ends_with(".names") {
            let names = text.lines().map(|line| line.trim().to_owned()).collect();
            return Some(Self { names: Names::List(names), ..Self::default() });
        }
        serde_saphyr::from_str(text).ok()
    }

    /// Returns which of our keypoints each of the file's is, if the file names them.
    fn keypoints(&self) -> Option<Vec<Option<usize>>> {
        let KeypointNames::OfClasses(of_classes) = &self.kpt_names else { return None };
        let known = |name: &String| KEYPOINTS.iter().position(|known| known == name);
        of_classes.values().next().map(|names| names.iter().map(known).collect())
    }

    fn name(&self, class: &str) -> String {
        let index: Option<u32> = class.parse().ok();
        let name = index.and_then(|index| match &self.names {
            Names::List(names) => names.get(index as usize),
            Names::Map(names) => names.get(&index),
        });
        name.map_or_else(|| class.to_owned(), Clone::clone)
    }
}

/// Whether every line is a class followed by fractions. An empty file stands for a picture without objects.
pub(super) fn is_yolo(text: &str) -> bool {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).all(|line| {
        let mut fields = line.split_whitespace();
        let is_class = fields.next().is_some_and(|class| class.parse::<u32>().is_ok());
        let rest: Vec<Option<f32>> = fields.map(|field| field.parse().ok()).collect();
        is_class
            && rest.len() >= BOX
            && rest.iter().all(|number| number.is_some_and(|number| (-1.5..=2.0).contains(&number)))
    })
}

/// Reads the files of one split.
///
/// * `folder`: the table's name.
pub(in crate::data) fn read(
    folder: String,
    files: &[&LabelFile],
    yaml: &DataYaml,
    options: &LabelOptions,
    mut report: Reporter,
) -> Result<LabelTable, Unread> {
    let (mut rows, mut given) = (Vec::new(), 0);
    for file in files {
        let path: Arc<str> = file.path.as_str().into();
        let image_path = image_path(&path);
        let lines = (1..).zip(file.text.lines()).filter(|(_, line)| !line.trim().is_empty());
        let mut count = 0;
        for (number, line) in lines {
            count += 1;
            let (class, numbers) = fields(line);
            let (face, keypoints) = face(&numbers, yaml).unwrap_or_else(|reason| {
                report.lose_row("box without size", &path, number, reason);
                (Face::Unknown, Keypoints::default())
            });
            let row = Row::new(number, image_path.clone(), face);
            rows.push(Row {
                file: Some(path.clone()),
                keypoints,
                category: yaml.name(class),
                ..row
            });
        }
        if count == 0 {
            let row = Row::new(1, image_path, Face::None);
            rows.push(Row { file: Some(path), ..row });
        }
        given += count.max(1);
    }
    keep_faces(&mut rows, options, &folder, &mut report)?;
    let source = (folder, LabelFormat::Yolo, files.len() as u64);
    Ok(table(source, (BoxShape::Cxcywh, Units::Fractions), rows, given, report))
}

fn fields(line: &str) -> (&str, Vec<f32>) {
    let mut fields = line.split_whitespace();
    let class = fields.next().unwrap_or_default();
    (class, fields.filter_map(|field| field.parse().ok()).collect())
}

/// Returns the path of a label file's picture, without an extension: beside the file, or in the `images` folder that
/// corresponds to its `labels` folder.
fn image_path(path: &str) -> String {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let mut parts: Vec<&str> = stem.split('/').collect();
    let folders = parts.len() - 1;
    if let Some(labels) = parts[..folders].iter().rposition(|part| *part == "labels") {
        parts[labels] = "images";
    }
    parts.join("/")
}

fn face(numbers: &[f32], yaml: &DataYaml) -> Result<(Face, Keypoints), String> {
    let Some(&[x, y, w, h]) = numbers.first_chunk::<BOX>() else {
        return Err("the line has fewer than four numbers after the class".to_owned());
    };
    let rest = &numbers[BOX..];
    let landmarks = match yaml.kpt_shape {
        Some([count, per @ 2..=3]) if count.checked_mul(per) == Some(rest.len()) => {
            Some((rest, per))
        }
        _ if rest.len() == 2 * LANDMARKS && are_in([x, y, w, h], rest) => Some((rest, 2)),
        _ => None,
    };
    let is_polygon = landmarks.is_none() && numbers.len() > BOX_AND_SCORE;
    let [x, y, w, h] = if is_polygon { around(numbers) } else { [x, y, w, h] };
    if w <= 0.0 || h <= 0.0 {
        return Err(format!("the box {x},{y},{w},{h} has no width or height"));
    }
    let named = yaml.keypoints();
    let keypoints = landmarks.map(|(points, per)| keypoints(points, per, named.as_deref()));
    let keypoints = keypoints.unwrap_or_default();
    Ok((Face::At([x, y, w, h]), keypoints))
}

/// Whether points are a box's landmarks rather than a polygon's corners: each is near the box, or negative.
fn are_in([x, y, w, h]: [f32; 4], points: &[f32]) -> bool {
    points.chunks_exact(2).all(|point| {
        let is_near = (point[0] - x).abs() <= w && (point[1] - y).abs() <= h;
        is_near || point.iter().all(|&value| value < 0.0)
    })
}

/// Returns the box around a polygon: centre, width and height.
fn around(polygon: &[f32]) -> [f32; 4] {
    let bounds = |axis: usize| {
        let values = polygon.iter().skip(axis).step_by(2);
        values
            .fold((f32::MAX, f32::MIN), |(least, most), &value| (least.min(value), most.max(value)))
    };
    let ((left, right), (top, bottom)) = (bounds(0), bounds(1));
    [f32::midpoint(left, right), f32::midpoint(top, bottom), right - left, bottom - top]
}

/// Converts a face's landmarks to keypoints: those with known names, or the usual five. The eye on the viewer's left is
/// the right eye.
///
/// * `named`: which keypoint each landmark is, if their names are known.
fn keypoints(points: &[f32], per: usize, named: Option<&[Option<usize>]>) -> Keypoints {
    let point = |index: usize| {
        let point = points.get(index * per..(index + 1) * per)?;
        let is_labelled = point[..2].iter().all(|&value| value >= 0.0)
            && point[..2] != [0.0; 2]
            && point.get(2).is_none_or(|&visibility| visibility > 0.0);
        is_labelled.then_some([point[0], point[1]])
    };
    if let Some(named) = named {
        let mut keypoints = Keypoints::default();
        for (index, keypoint) in named.iter().enumerate() {
            if let Some(keypoint) = *keypoint {
                keypoints[keypoint] = point(index);
            }
        }
        return keypoints;
    }
    if points.len() != LANDMARKS * per {
        return Keypoints::default();
    }
    from_landmarks([point(0), point(1), point(2), point(3), point(4)])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> LabelFile {
        LabelFile { path: path.to_owned(), text: text.to_owned() }
    }

    #[test]
    fn boxes_polygons_landmarks_and_empty_files_are_read() {
        let files = [
            file("labels/train/a.txt", "0 0.5 0.5 0.2 0.4\n1 0.1 0.1 0.3 0.1 0.3 0.5\n"),
            file("labels/train/b.txt", ""),
            file(
                "c.txt",
                "0 .5 .5 .4 .4 .4 .4 .6 .4 .5 .5 .45 .6 .55 .6\n0 .5 .5 .4 .4 -1 -1 -1 -1 .5 .5 -1 -1 -1 -1\n",
            ),
        ];
        assert!(files.iter().all(|file| is_yolo(&file.text)));
        let files: Vec<&LabelFile> = files.iter().collect();
        let yaml = DataYaml::read(&file("data.yaml", "names: {0: face, 1: helmet face}\nnc: 2\n"))
            .unwrap();
        let table =
            read("labels".to_owned(), &files, &yaml, &LabelOptions::default(), Reporter::default());
        let table = table.unwrap();
        let paths: Vec<_> = table.rows.iter().map(|row| row.image_path.as_str()).collect();
        assert_eq!(paths, ["images/train/a", "images/train/a", "images/train/b", "c", "c"]);
        let Face::At(polygon) = table.rows[1].face else { panic!("{:?}", table.rows) };
        assert!(polygon.iter().zip([0.2, 0.3, 0.2, 0.4]).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_eq!(table.rows[2].face, Face::None);
        assert_eq!(table.rows[3].keypoints[0], Some([0.4, 0.4]));
        assert_eq!(table.rows[3].keypoints[3], Some([0.5, 0.6]));
        assert_eq!(table.rows[4].keypoints, [None, None, Some([0.5, 0.5]), None, None, None]);
    }

    #[test]
    fn other_texts_are_not_mistaken_for_labels() {
        for text in
            ["faces at a party\n", "1\n2\n", "0 10 20 30 40\n", "images/a.jpg\nimages/b.jpg\n"]
        {
            assert!(!is_yolo(text), "{text}");
        }
    }

    #[test]
    fn an_absurd_number_of_keypoints_is_ignored() {
        let labels = file("a.txt", "0 .5 .5 .4 .4 .1 .2 .3 .4 .5\n");
        for shape in ["[5, 1]", "[9223372036854775807, 3]"] {
            let yaml =
                DataYaml::read(&file("data.yaml", &format!("kpt_shape: {shape}\n"))).unwrap();
            let options = LabelOptions::default();
            let table = read(String::new(), &[&labels], &yaml, &options, Reporter::default());
            assert_eq!(table.unwrap().rows[0].keypoints, Keypoints::default());
        }
    }

    #[test]
    fn keypoints_are_read_by_the_names_in_yaml() {
        let file = file("a.txt", "0 .5 .5 .4 .4 .6 .4 2 .1 .1 2 .5 .6 1 0 0 0\n");
        let read = |names: &str| {
            let text = format!("names: [face]\nkpt_shape: [4, 3]\nkpt_names: {names}\n");
            let yaml = DataYaml::read(&self::file("data.yaml", &text)).unwrap();
            let options = LabelOptions::default();
            let table = read(String::new(), &[&file], &yaml, &options, Reporter::default());
            table.unwrap().rows[0].keypoints
        };
        let named = read("{0: [left_eye, chin, mouth, nose]}");
        assert_eq!(named, [None, Some([0.6, 0.4]), None, Some([0.5, 0.6]), None, None]);
        assert_eq!(read("yes"), Keypoints::default());
    }

    #[test]
    fn class_names_are_read_from_yaml_or_from_darknets_names_file() {
        let names = |file: &LabelFile| DataYaml::read(file).unwrap().name("1");
        assert_eq!(names(&file("data.yaml", "names:\n  - a\n  - face\n")), "face");
        assert_eq!(names(&file("obj.names", "a\nface\n")), "face");
        assert_eq!(DataYaml::default().name("1"), "1");
    }
}
