//! Data sets that are exported over HTTP.

use std::io::{Cursor, Read};
use std::path::Path;
use std::time::{Duration, Instant};

use image::{ImageFormat, RgbImage};
use reqwest::{Method, Response};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::support::{Server, config, id, read, script};

async fn export(server: &Server, dataset: &str, query: &str) -> Response {
    let path = format!("/datasets/{dataset}/export?{query}");
    server.request(Method::GET, &path).send().await.unwrap()
}

#[tokio::test]
async fn every_format_is_sent_as_a_zip_that_can_be_uploaded_again() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let dataset = server.dataset().await;
    let (_, original) = server.get(&format!("/datasets/{dataset}")).await;
    for (format, labels) in [
        ("coco", "annotations/instances_val.json"),
        ("yolo", "data.yaml"),
        ("voc", "ImageSets/Main/val.txt"),
        ("csv", "val.csv"),
        ("wider", "wider_face_split/wider_face_val_bbx_gt.txt"),
    ] {
        let response = export(&server, &dataset, &format!("format={format}")).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "application/zip");
        let disposition = response.headers()["content-disposition"].to_str().unwrap();
        assert!(disposition.contains(&format!("filename=\"faces-{format}.zip\"")), "{disposition}");
        let bytes = response.bytes().await.unwrap().to_vec();
        let mut zip = ZipArchive::new(Cursor::new(bytes.clone())).unwrap();
        let mut text = String::new();
        zip.by_name(labels).unwrap().read_to_string(&mut text).unwrap();
        assert!(!text.is_empty());

        let (_, again) = server.upload(format, bytes).await;
        let path = format!("/datasets/{}", id(&again));
        let again = server.when(&path, |dataset| dataset["status"] != "importing").await;
        for key in ["images", "faces", "negatives", "splits", "face_sizes"] {
            assert_eq!(again[key], original[key], "{format}: {key}: {again}");
        }
    }
    let labels = export(&server, &dataset, "format=coco&pictures=none").await;
    let zip = ZipArchive::new(Cursor::new(labels.bytes().await.unwrap())).unwrap();
    assert!(zip.file_names().all(|name| !name.contains("images/")));
}

#[tokio::test]
async fn exports_that_cannot_be_made_are_refused_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let dataset = server.dataset().await;
    let formats = "coco, yolo, voc, csv, wider";
    for (query, status, detail) in [
        ("format=xml", 422, format!("format is \"xml\"; it must be one of {formats}")),
        ("", 422, format!("the query lacks format, which must be one of {formats}")),
        ("format=coco&pictures=all", 422, "`cached` or `none`".to_owned()),
        ("format=coco&size=9", 422, "unknown field `size`".to_owned()),
    ] {
        let (found, problem) = read(export(&server, &dataset, query).await).await;
        assert_eq!(found, status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains(&detail), "{problem}");
    }
    let unknown = "01970000-0000-7000-8000-000000000000";
    assert_eq!(export(&server, unknown, "format=coco").await.status(), 404);
    let (_, bad) = server.upload("bad", crate::support::zip_of("readme.txt", b"hello")).await;
    server.when(&format!("/datasets/{}", id(&bad)), |bad| bad["status"] == "failed").await;
    let (status, problem) = read(export(&server, &id(&bad), "format=coco").await).await;
    assert_eq!(status, 409, "{problem}");
}

/// A zip of pictures that compress badly: their export does not fit into a connection's buffers.
fn noise(pictures: u32) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let mut state = 1_u32;
    for number in 0..pictures {
        let picture = RgbImage::from_fn(256, 256, |_, _| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let [_, r, g, b] = state.to_le_bytes();
            image::Rgb([r, g, b])
        });
        zip.start_file(format!("{number}.bmp"), SimpleFileOptions::default()).unwrap();
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, ImageFormat::Bmp).unwrap();
        std::io::copy(&mut &bytes.into_inner()[..], &mut zip).unwrap();
    }
    let rows = (0..pictures).map(|number| format!("{number}.bmp,10,10,50,50\n"));
    let table = format!("image_path,x1,y1,w,h\n{}", rows.collect::<String>());
    zip.start_file("labels.csv", SimpleFileOptions::default()).unwrap();
    std::io::copy(&mut table.as_bytes(), &mut zip).unwrap();
    zip.finish().unwrap().into_inner()
}

/// Number of times that this process has a data set's pictures open: once for each export that is being written.
fn open_caches(folder: &Path) -> usize {
    let files = std::fs::read_dir("/proc/self/fd").unwrap().flatten();
    let paths = files.filter_map(|file| std::fs::read_link(file.path()).ok());
    paths.filter(|path| path.starts_with(folder) && path.ends_with("pictures.u8")).count()
}

/// Waits until as many exports are being written, and returns how long it took.
async fn when_open(folder: &Path, count: usize) -> Duration {
    let start = Instant::now();
    while open_caches(folder) != count {
        assert!(start.elapsed() < Duration::from_secs(30), "there were never {count} exports");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    start.elapsed()
}

/// Enough that an export takes most of a second, so that it cannot end by itself before it is noticed.
const PICTURES: u32 = 400;

#[tokio::test(flavor = "multi_thread")]
async fn an_export_ends_when_the_client_leaves_or_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.server.request_timeout_s = 1;
    let server = Server::start_with(folder.path(), script("exit 0"), config).await;
    let (_, dataset) = server.upload("noise", noise(PICTURES)).await;
    let dataset = id(&dataset);
    let is_ready = |dataset: &Value| dataset["status"] == json!("ready");
    server.when(&format!("/datasets/{dataset}"), is_ready).await;
    let datasets = folder.path().join("datasets");

    let start = Instant::now();
    let whole = export(&server, &dataset, "format=yolo").await.bytes().await.unwrap().len();
    let duration = start.elapsed();
    assert!(whole > PICTURES as usize * 190_000, "{whole}");
    when_open(&datasets, 0).await;

    let mut left = export(&server, &dataset, "format=yolo").await;
    assert!(left.chunk().await.unwrap().is_some());
    when_open(&datasets, 1).await;
    drop(left);
    let ended = when_open(&datasets, 0).await;
    assert!(
        ended < duration * 2 / 3,
        "it took {ended:?} to notice, and a whole export {duration:?}"
    );

    let mut stalled = export(&server, &dataset, "format=yolo").await;
    assert!(stalled.chunk().await.unwrap().is_some());
    when_open(&datasets, 1).await;
    when_open(&datasets, 0).await;
    let mut taken = 0;
    let error = loop {
        match stalled.chunk().await {
            Ok(Some(chunk)) => taken += chunk.len(),
            Ok(None) => panic!("the body looks whole after {taken} of {whole} bytes"),
            Err(error) => break error,
        }
    };
    assert!(taken < whole, "{error}");
}
