//! Writes the metrics and sample views to an event file for `TensorBoard`.
//!
//! The file is a sequence of records. Each record is an `Event` in protobuf encoding, framed by its length and two
//! checksums. Sources: TensorFlow's `core/lib/io/record_writer.h`, `core/util/event.proto` and
//! `core/framework/summary.proto`.

use std::fs::OpenOptions;
use std::io::{self, Write};
use std::path::Path;

use crc::{CRC_32_ISCSI, Crc};
use serde_json::{Value, json};

use crate::disk;
use crate::protobuf::Message;
use crate::protocol::diagnostics::{Diagnostics, FaceSize};
use crate::protocol::metrics::MetricsRow;

/// The event file's name; `TensorBoard` looks for `tfevents` in it.
pub const FILE: &str = "events.out.tfevents.blazetune";

/// Writes the whole file again, because a killed worker may have left it incomplete.
///
/// * `folder`: the folder of artifacts, which also holds the sheets of sample views.
///
/// # Errors
///
/// Any file system error; the file is then unchanged.
pub fn rewrite(folder: &Path, rows: &[MetricsRow]) -> io::Result<()> {
    let begin = rows.first().map_or(0.0, wall_time);
    let version = Message::default().double(1, begin).text(3, "brain.Event:2");
    let mut bytes = record(version);
    for row in rows {
        bytes.extend(record(event(row, folder)));
    }
    disk::write(&folder.join(FILE), &bytes)
}

/// Appends an epoch in a single write. A reader that has the file open sees the new epoch.
///
/// # Errors
///
/// Any file system error; [`rewrite`] repairs a partially written file.
pub fn append(folder: &Path, row: &MetricsRow) -> io::Result<()> {
    let mut file = OpenOptions::new().append(true).open(folder.join(FILE))?;
    file.write_all(&record(event(row, folder)))?;
    file.sync_data()
}

/// Returns an `Event` with all figures of an epoch; the event's step is the epoch.
fn event(row: &MetricsRow, folder: &Path) -> Message {
    let mut summary = Message::default();
    for (tag, number) in scalars(row) {
        let value = Message::default().text(1, &tag).float(2, number as f32);
        summary = summary.message(1, &value);
    }
    let views = row.diagnostics.as_ref().and_then(|found| found.sample_views.as_deref());
    if let Some(picture) = views.and_then(|name| picture(&folder.join(name))) {
        summary = summary.message(1, &Message::default().text(1, "views").message(4, &picture));
    }
    let event = Message::default().double(1, wall_time(row)).int(2, row.epoch.into());
    event.message(5, &summary)
}

/// Returns an `Image`; `None` if the file cannot be read.
fn picture(path: &Path) -> Option<Message> {
    let (width, height) = image::image_dimensions(path).ok()?;
    let jpeg = std::fs::read(path).ok()?;
    let size = Message::default().int(1, height.into()).int(2, width.into());
    Some(size.int(3, RGB).bytes(4, &jpeg))
}

/// The value of `Image.colorspace` for RGB.
const RGB: i64 = 3;

/// Returns all figures of an epoch with their tags.
fn scalars(row: &MetricsRow) -> Vec<(String, f64)> {
    let mut scalars = numbers("val", &json!(row.val));
    if let Some(train) = &row.train {
        scalars.extend(numbers("train", &json!(train)));
        scalars.push(("run/learning_rate".to_owned(), row.lr));
        scalars.push(("run/images_per_s".to_owned(), row.images_per_s));
    }
    scalars.extend(row.diagnostics.iter().flat_map(inside));
    scalars
}

fn inside(found: &Diagnostics) -> Vec<(String, f64)> {
    let mut scalars = vec![("views/without_face".to_owned(), found.views_without_face)];
    for size in &found.faces {
        let range = range(size);
        let of_face = [
            ("positives_per_face", size.positives_per_face),
            ("faces_without_positive", size.without_positive),
        ];
        let known = of_face.into_iter().filter_map(|(name, value)| Some((name, value?)));
        scalars.extend(known.map(|(name, value)| (format!("{name}/{range}"), value)));
    }
    for grid in &found.grids {
        let mut parts = json!(grid);
        parts.as_object_mut().map(|parts| parts.remove("side"));
        scalars.extend(numbers(&format!("grid_{0}x{0}", grid.side), &parts));
    }
    let bins = found.score_by_iou.iter();
    scalars.extend(
        bins.filter_map(|bin| Some((format!("score_by_iou/{}", bin.from), bin.mean_score?))),
    );
    scalars
}

/// Returns a tag such as `6_to_12_px` or `24_px_and_more`.
fn range(FaceSize { from, to, .. }: &FaceSize) -> String {
    match to {
        Some(to) => format!("{from}_to_{to}_px"),
        None => format!("{from}_px_and_more"),
    }
}

/// Returns the numeric fields of an object, tagged `group/field`.
fn numbers(group: &str, object: &Value) -> Vec<(String, f64)> {
    let fields = object.as_object().into_iter().flatten();
    fields.filter_map(|(name, value)| Some((format!("{group}/{name}"), value.as_f64()?))).collect()
}

/// Returns a row's time in seconds since 1970.
fn wall_time(row: &MetricsRow) -> f64 {
    let time: Result<jiff::Timestamp, _> = row.time.parse();
    time.map_or(0.0, |time| time.as_millisecond() as f64 / 1e3)
}

/// Returns a record: the length and its checksum, then the data and its checksum.
fn record(event: Message) -> Vec<u8> {
    let data = event.into_bytes();
    let length = (data.len() as u64).to_le_bytes();
    [&length, &masked_crc(&length)[..], &data, &masked_crc(&data)].concat()
}

fn masked_crc(data: &[u8]) -> [u8; 4] {
    const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
    CRC32C.checksum(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::metrics::ValMetrics;

    fn row(epoch: u32) -> MetricsRow {
        MetricsRow {
            epoch,
            step: 0,
            time: "2026-01-01T00:00:00.500Z".to_owned(),
            lr: 0.0,
            images_per_s: 0.0,
            seconds: 0.0,
            is_best: false,
            train: None,
            diagnostics: None,
            val: ValMetrics::default(),
        }
    }

    /// Source: RFC 3720, B.4.
    #[test]
    fn checksums_match_the_published_ones() {
        let unmasked = 0x8a91_36aau32; // of 32 zero bytes
        let masked = unmasked.rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes();
        assert_eq!(masked_crc(&[0; 32]), masked);
    }

    #[test]
    fn appending_gives_the_same_file_as_rewriting() {
        let folder = tempfile::tempdir().unwrap();
        let read = || std::fs::read(folder.path().join(FILE)).unwrap();
        let rows: Vec<MetricsRow> = (0..3).map(row).collect();
        rewrite(folder.path(), &rows).unwrap();
        let whole = read();
        rewrite(folder.path(), &rows[..1]).unwrap();
        rows[1..].iter().for_each(|row| append(folder.path(), row).unwrap());
        assert_eq!(read(), whole);
        std::fs::write(folder.path().join(FILE), &whole[..whole.len() - 9]).unwrap();
        rewrite(folder.path(), &rows).unwrap();
        assert_eq!(read(), whole, "repairs a torn file");
    }
}
