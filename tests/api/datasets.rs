//! Data sets, from the upload to their pictures.

use std::path::Path;

use futures_util::StreamExt;
use reqwest::Method;
use reqwest::header;
use serde_json::{Value, json};

use crate::support::{Server, archive, config, id, read, script, zip_of};

async fn server(folder: &Path) -> Server {
    Server::start(folder, script("exit 0")).await
}

fn files(folder: &Path) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

#[tokio::test]
async fn an_archive_becomes_pictures_with_boxes() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let (status, dataset) = server.upload("my faces", archive().to_vec()).await;
    assert_eq!((status, &dataset["status"]), (202, &json!("importing")), "{dataset}");
    let id = id(&dataset);
    let dataset = server.when(&format!("/datasets/{id}"), |d| d["status"] == "ready").await;
    assert_eq!((&dataset["name"], &dataset["images"]), (&json!("my faces"), &json!(16)));
    let count = |split: &str| dataset["splits"][split]["images"].as_u64().unwrap();
    assert_eq!(count("train") + count("val"), 16);
    assert!(dataset["faces"].as_u64().unwrap() > 16, "{dataset}");
    assert!(dataset["report"].is_object() && dataset["face_sizes"].is_array(), "{dataset}");
    assert_eq!(files(&folder.path().join("uploads")), 0, "the archive is no longer needed");

    let (_, list) = server.get("/datasets").await;
    assert_eq!(list["items"][0]["id"], id);
    assert_eq!(list["next_cursor"], Value::Null);
}

#[tokio::test]
async fn pictures_are_listed_in_pages_and_sent_only_if_they_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let id = server.dataset().await;
    let (mut path, mut indices) = (format!("/datasets/{id}/images?limit=7"), Vec::new());
    loop {
        let (_, page) = server.get(&path).await;
        let items = page["items"].as_array().unwrap().clone();
        assert!(items.len() <= 7);
        indices.extend(items.iter().map(|item| item["index"].as_u64().unwrap()));
        let Some(cursor) = page["next_cursor"].as_str() else { break };
        path = format!("/datasets/{id}/images?limit=7&cursor={cursor}");
    }
    assert_eq!(indices, (0..16).collect::<Vec<_>>());

    let (_, val) = server.get(&format!("/datasets/{id}/images?split=val")).await;
    let val = val["items"].as_array().unwrap().clone();
    assert!(!val.is_empty() && val.iter().all(|item| item["split"] == "val"));
    let face = val.iter().find_map(|item| item["faces"].get(0)).unwrap();
    assert_eq!(face.as_array().unwrap().len(), 4);

    let picture = format!("/datasets/{id}/images/3");
    let response = server.request(Method::GET, &picture).send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "image/jpeg");
    let etag = response.headers()["etag"].clone();
    let picture_bytes = response.bytes().await.unwrap();
    let decoded = image::load_from_memory(&picture_bytes).unwrap();
    assert_eq!(decoded.width().max(decoded.height()), 256);
    let again = server.request(Method::GET, &picture).header(header::IF_NONE_MATCH, etag);
    assert_eq!(again.send().await.unwrap().status(), 304);
    assert_eq!(server.get(&format!("/datasets/{id}/images/16")).await.0, 404);
}

#[tokio::test]
async fn an_archive_can_be_uploaded_in_a_form() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let mut body = b"--x\r\nContent-Disposition: form-data; name=\"note\"\r\n\r\nhi\r\n--x\r\n\
        Content-Disposition: form-data; name=\"file\"; filename=\"party.zip\"\r\n\r\n"
        .to_vec();
    body.extend_from_slice(archive());
    body.extend_from_slice(b"\r\n--x--\r\n");
    let request = server.request(Method::POST, "/datasets").body(body);
    let request = request.header("content-type", "multipart/form-data; boundary=x");
    let (status, dataset) = read(request.send().await.unwrap()).await;
    assert_eq!((status, &dataset["name"]), (202, &json!("party.zip")), "{dataset}");
    let path = format!("/datasets/{}", id(&dataset));
    server.when(&path, |dataset| dataset["status"] == "ready").await;
}

#[tokio::test]
async fn an_upload_that_is_not_a_usable_archive_is_refused_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.limits.upload_bytes = 1000;
    let server = Server::start_with(folder.path(), script("exit 0"), config).await;
    let post = |kind: &'static str, body: Vec<u8>| {
        server.request(Method::POST, "/datasets").header("content-type", kind).body(body)
    };
    let cases = [
        (post("application/x-www-form-urlencoded", archive().to_vec()), 415),
        (post("application/zip", vec![b'x'; 600]), 415),
        (post("application/zip", b"short".to_vec()), 415),
        (post("application/zip", vec![]), 422),
        (post("application/zip", archive()[..1001].to_vec()), 413),
        (post("multipart/form-data; boundary=x", b"--x--\r\n".to_vec()), 422),
    ];
    for (request, expected) in cases {
        let (status, problem) = read(request.send().await.unwrap()).await;
        assert_eq!(status, expected, "{problem}");
        assert_eq!(problem["status"], expected);
    }
    assert_eq!(files(&folder.path().join("uploads")), 0);
    assert_eq!(server.get("/datasets").await.1["items"], json!([]));
}

#[tokio::test]
async fn an_upload_that_is_cut_off_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let uploads = folder.path().join("uploads");
    let first = futures_util::stream::iter([Ok::<_, std::io::Error>(archive()[..500].to_vec())]);
    let endless = first.chain(futures_util::stream::pending());
    let body = reqwest::Body::wrap_stream(endless);
    let request = server.request(Method::POST, "/datasets");
    let request = request.header("content-type", "application/zip").body(body);
    let upload = tokio::spawn(request.send());
    let has_files = |count: usize| {
        let uploads = uploads.clone();
        async move {
            for _ in 0..500 {
                if files(&uploads) == count {
                    return;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
            panic!("there were never {count} files");
        }
    };
    has_files(1).await;
    upload.abort();
    has_files(0).await;
    assert_eq!(server.get("/datasets").await.1["items"], json!([]));
}

#[tokio::test]
async fn an_unusable_archive_fails_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let (status, dataset) = server.upload("text", zip_of("readme.txt", b"hello")).await;
    assert_eq!(status, 202);
    let path = format!("/datasets/{}", id(&dataset));
    let dataset = server.when(&path, |dataset| dataset["status"] == "failed").await;
    assert!(dataset["error"].as_str().unwrap().len() > 20, "{dataset}");
    let body = json!({"kind": "train", "dataset_id": dataset["id"]});
    let (status, problem) = server.post("/jobs", &body).await;
    assert_eq!(status, 409, "{problem}");
    assert_eq!(server.delete(&path).await.0, 204);
    assert_eq!(server.get(&path).await.0, 404);
}

#[tokio::test]
async fn an_import_that_a_killed_server_left_unfinished_is_completed_by_the_next_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let id = server.dataset().await;
    server.shut_down().await;
    // What a killed server leaves behind: a row in the state `importing`, the archive, half of the data set's folder,
    // and a part of another upload.
    let uploads = folder.path().join("uploads");
    std::fs::write(uploads.join(&id), archive()).unwrap();
    std::fs::write(uploads.join("01970000-0000-7000-8000-000000000000.part"), b"PK").unwrap();
    std::fs::remove_file(folder.path().join("datasets").join(&id).join("manifest.json")).unwrap();
    let sql = "update dataset set status = 'importing', content_hash = null, summary = null";
    let db = blazetune::store::open(&folder.path().join("blazetune.sqlite")).await.unwrap();
    sqlx::query(sql).execute(&db).await.unwrap();
    db.close().await;
    let server = self::server(folder.path()).await;
    let path = format!("/datasets/{id}");
    let dataset = server.when(&path, |dataset| dataset["status"] != "importing").await;
    assert_eq!((&dataset["status"], &dataset["images"]), (&json!("ready"), &json!(16)));
    server.when(&path, |_| files(&uploads) == 0).await;
    assert_eq!(server.get(&format!("{path}/images/3")).await.0, 200);
}

#[tokio::test]
async fn an_archive_that_is_uploaded_twice_is_imported_once_and_stored_once() {
    use std::os::unix::fs::MetadataExt;
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let first = server.dataset().await;
    let (status, second) = server.upload("again", archive().to_vec()).await;
    assert_eq!(status, 202);
    let second = format!("/datasets/{}", id(&second));
    let dataset = server.when(&second, |dataset| dataset["status"] == "ready").await;
    let (_, original) = server.get(&format!("/datasets/{first}")).await;
    assert_eq!((&dataset["name"], &dataset["same_as"]), (&json!("again"), &json!(first)));
    assert_eq!(original["same_as"], Value::Null);
    for key in ["content_hash", "images", "faces", "splits", "report"] {
        assert_eq!(dataset[key], original[key], "{key}");
    }
    let cache = folder.path().join("datasets").join(&first).join("pictures.u8");
    assert_eq!(std::fs::metadata(&cache).unwrap().nlink(), 2, "both folders hold the same file");
    assert_eq!(server.delete(&format!("/datasets/{first}")).await.0, 204);
    assert_eq!(server.get(&format!("{second}/images/3")).await.0, 200);
    assert_eq!(server.get(&second).await.1["same_as"], Value::Null);
}
