//! What the API reports about a data set's labels, and the options with which users describe them.

use std::fmt::Write as _;
use std::io::{Cursor, Read, Write};

use reqwest::{Method, header};
use serde_json::{Value, json};
use zip::write::SimpleFileOptions;

use crate::support::{Server, archive, id, read, real_worker, script};

/// The archive of the small synthetic data set, with each table replaced by the files that `change` returns for its
/// name and text.
fn with_tables(change: impl Fn(&str, String) -> Vec<(String, String)>) -> Vec<u8> {
    let mut from = zip::ZipArchive::new(Cursor::new(archive())).unwrap();
    let mut into = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for index in 0..from.len() {
        let mut entry = from.by_index(index).unwrap();
        let name = entry.name().to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        let files = if matches!(name.as_str(), "train.csv" | "val.csv") {
            let changed = change(&name, String::from_utf8(bytes).unwrap());
            changed.into_iter().map(|(name, text)| (name, text.into_bytes())).collect()
        } else {
            vec![(name, bytes)]
        };
        for (name, bytes) in files {
            into.start_file(name, SimpleFileOptions::default()).unwrap();
            into.write_all(&bytes).unwrap();
        }
    }
    into.finish().unwrap().into_inner()
}

/// Uploads an archive with options and waits for the import to end.
async fn imported(server: &Server, query: &str, archive: Vec<u8>) -> Value {
    let request = server.request(Method::POST, &format!("/datasets?{query}"));
    let request = request.header("content-type", "application/zip").body(archive);
    let (status, dataset) = read(request.send().await.unwrap()).await;
    assert_eq!(status, 202, "{dataset}");
    let path = format!("/datasets/{}", id(&dataset));
    server.when(&path, |dataset| dataset["status"] != "importing").await
}

#[tokio::test]
async fn an_upload_can_state_what_its_boxes_are() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let corners = with_tables(|name, text| {
        let mut lines = text.lines();
        let mut table = lines.next().unwrap().to_owned() + "\n";
        for line in lines {
            let fields: Vec<&str> = line.split(',').collect();
            let at = |index: usize| fields[index].parse::<f32>().unwrap_or_default();
            let (right, bottom) = (at(1) + at(3), at(2) + at(4));
            writeln!(table, "{},{},{},{right},{bottom}", fields[0], at(1), at(2)).unwrap();
        }
        vec![(name.to_owned(), table)]
    });
    let refused = imported(&server, "name=faces", corners.clone()).await;
    let error = refused["error"].as_str().unwrap();
    assert!(error.contains("upload the archive again with ?boxes=xyxy"), "{error}");
    let dataset = imported(&server, "name=faces&boxes=xyxy", corners.clone()).await;
    assert_eq!(dataset["status"], "ready", "{dataset}");
    assert_eq!(dataset["import_options"], json!({"boxes": "xyxy"}));
    let plain = imported(&server, "name=plain", archive().to_vec()).await;
    assert_eq!((&plain["faces"], &plain["images"]), (&dataset["faces"], &dataset["images"]));
    // An earlier import of an archive is reused only for the same options.
    let other = imported(&server, "name=faces&boxes=xywh", corners.clone()).await;
    assert_ne!(other["content_hash"], dataset["content_hash"]);
    let again = imported(&server, "name=again&boxes=xyxy", corners).await;
    assert_eq!(again["same_as"], dataset["id"]);
}

#[tokio::test]
async fn an_unknown_option_is_refused_with_a_list_of_the_known_ones() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    for (query, expected) in
        [("boxes=corners", "xyxy"), ("units=percent", "fractions"), ("box=xyxy", "boxes")]
    {
        let request = server.request(Method::POST, &format!("/datasets?{query}"));
        let request = request.header("content-type", "application/zip").body(archive());
        let (status, problem) = read(request.send().await.unwrap()).await;
        let detail = problem["detail"].as_str().unwrap();
        assert!(status == 422 && detail.contains(expected), "{status}: {problem}");
    }
}

#[tokio::test]
async fn the_report_is_paged_by_kind_and_downloads_as_csv() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let faulty = with_tables(|name, mut text| {
        for number in 0..60 {
            writeln!(text, "gone-{number}.jpg,1,2,3,4\nnobody.jpg,1,x,3,{number}").unwrap();
        }
        vec![(name.to_owned(), text)]
    });
    let dataset = imported(&server, "name=faulty", faulty).await;
    let path = format!("/datasets/{}/report", id(&dataset));
    let (status, first) = server.get(&path).await;
    assert_eq!(status, 200, "{first}");
    assert_eq!(
        (&first["counts"], &first["rows"]),
        (&dataset["report"]["counts"], &dataset["report"]["rows"])
    );
    let total: u64 =
        first["counts"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();

    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let (_, page) = server.get(&format!("{path}?kind=not%20a%20number&limit=50{cursor}")).await;
        seen.extend(page["items"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 120, "sixty in each of two tables");
    assert!(seen.iter().all(|problem| problem["kind"] == "not a number"));

    let request = server.request(Method::GET, &path).header(header::ACCEPT, "text/csv");
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()[header::CONTENT_TYPE], "text/csv; charset=utf-8");
    let text = answer.text().await.unwrap();
    assert!(text.starts_with("kind,file,row,reason\n"), "{text}");
    assert_eq!(text.lines().count() as u64, total + 1);
    let linked = server.request(Method::GET, &format!("{path}?format=csv")).send().await.unwrap();
    assert_eq!(linked.text().await.unwrap(), text);

    let (status, problem) = server.get(&format!("{path}?kind=nothing")).await;
    assert!(
        status == 422 && problem["detail"].as_str().unwrap().contains("not a number"),
        "{problem}"
    );
}

#[tokio::test]
async fn a_model_can_be_evaluated_on_test_pictures() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), real_worker()).await;
    let tested = with_tables(|name, text| match name {
        "val.csv" => vec![("test.csv".to_owned(), text)],
        name => vec![(name.to_owned(), text)],
    });
    let dataset = imported(&server, "name=tested", tested).await;
    assert_eq!(dataset["status"], "ready", "{dataset}");
    let count = |split: &str| dataset["splits"][split]["images"].as_u64().unwrap();
    let test = count("test");
    assert!(test > 0 && count("train") > 0 && count("val") > 0, "{dataset}");

    let body = json!({
        "kind": "evaluate", "dataset_id": dataset["id"], "model_id": "mediapipe", "split": "test",
    });
    let (status, job) = server.post("/jobs", &body).await;
    assert_eq!(status, 201, "{job}");
    let job = id(&job);
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!(done["state"], "completed", "{done}");
    let (_, report) = server.get(&format!("/jobs/{job}/artifacts/report.json")).await;
    assert_eq!(report["models"][0]["pictures"], test, "{}", report["models"][0]);
}
