//! Imports run in processes of their own: they outlive the server, and a crash costs only the import itself.

use std::fmt::Write;
use std::io::Read;
use std::path::Path;

use serde_json::json;

use crate::support::{Server, archive, config, id, real_worker, real_worker_after, zip_of};

/// A worker that, if the shell command `condition` succeeds, does nothing until the file `go` exists in `folder`.
fn waiting(folder: &Path, condition: &str) -> blazetune::jobs::Program {
    let go = folder.join("go");
    let wait = format!("while [ ! -e {} ]; do sleep 0.02; done", go.display());
    real_worker_after(&format!(
        "echo start >> {}/starts\nif {condition}; then {wait}; fi",
        folder.display()
    ))
}

fn entries(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
}

/// Waits until the condition holds.
async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..3000 {
        if holds() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never happened: {what}");
}

/// Uploads an archive and waits until its worker runs. Returns the data set's path.
async fn started(server: &Server, data: &Path, archive: Vec<u8>) -> String {
    let (status, dataset) = server.upload("faces", archive).await;
    assert_eq!(status, 202, "{dataset}");
    let ticket = data.join("imports").join(id(&dataset)).join("ticket.json");
    until("the import has a worker", || ticket.exists()).await;
    format!("/datasets/{}", id(&dataset))
}

#[tokio::test]
async fn an_import_outlives_its_server_and_the_next_one_completes_it() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = waiting(folder.path(), "true");
    let server = Server::start(data.path(), program.clone()).await;
    let path = started(&server, data.path(), archive().to_vec()).await;
    server.shut_down().await;

    let server = Server::start(data.path(), program).await;
    assert_eq!(server.get(&path).await.1["status"], "importing");
    std::fs::write(folder.path().join("go"), "").unwrap();
    let dataset = server.when(&path, |dataset| dataset["status"] != "importing").await;
    assert_eq!((&dataset["status"], &dataset["images"]), (&json!("ready"), &json!(16)));
    let starts = std::fs::read_to_string(folder.path().join("starts")).unwrap();
    assert_eq!(starts, "start\n", "the same worker did it");
    until("nothing is left", || {
        entries(&data.path().join("imports")).is_empty()
            && entries(&data.path().join("uploads")).is_empty()
    })
    .await;
}

#[tokio::test]
async fn deleting_a_data_set_ends_its_import_and_leaves_nothing_behind() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let server = Server::start(data.path(), waiting(folder.path(), "true")).await;
    let first = started(&server, data.path(), archive().to_vec()).await;
    let (_, second) = server.upload("waits in the queue", zip_of("a.txt", b"x")).await;
    for path in [first, format!("/datasets/{}", id(&second))] {
        assert_eq!(server.delete(&path).await.0, 204);
        assert_eq!(server.get(&path).await.0, 404);
    }
    for part in ["imports", "uploads", "datasets"] {
        until(part, || entries(&data.path().join(part)).is_empty()).await;
    }
    // The queue still works afterwards.
    std::fs::write(folder.path().join("go"), "").unwrap();
    server.dataset().await;
}

#[tokio::test]
async fn an_import_deleted_while_no_server_was_running_is_ended_by_the_next_server() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let program = waiting(folder.path(), "true");
    let server = Server::start(data.path(), program.clone()).await;
    started(&server, data.path(), archive().to_vec()).await;
    server.shut_down().await;
    let db = blazetune::store::open(&data.path().join("blazetune.sqlite")).await.unwrap();
    sqlx::query("delete from dataset").execute(&db).await.unwrap();
    db.close().await;

    let _server = Server::start(data.path(), program).await;
    for part in ["imports", "uploads", "datasets"] {
        until(part, || entries(&data.path().join(part)).is_empty()).await;
    }
}

#[tokio::test]
async fn a_small_archive_does_not_wait_for_a_large_one() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let is_large = r#"[ -n "$(find "$1/../../uploads" -size +100M -name "$(basename "$1")")" ]"#;
    let server = Server::start(data.path(), waiting(folder.path(), is_large)).await;
    let size = 257 << 20;
    let mut header = tar::Header::new_gnu();
    header.set_size(size);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_data(&mut header, "recording.bin", std::io::repeat(0).take(size)).unwrap();
    let large = started(&server, data.path(), tar.into_inner().unwrap()).await;
    server.dataset().await;
    assert_eq!(server.get(&large).await.1["status"], "importing");
    std::fs::write(folder.path().join("go"), "").unwrap();
    let failed = server.when(&large, |dataset| dataset["status"] != "importing").await;
    assert!(failed["error"].as_str().unwrap().contains("no pictures"), "{failed}");
}

#[tokio::test]
async fn a_crash_costs_the_import_and_nothing_else() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path(), real_worker_after("kill -SEGV $$")).await;
    let (_, dataset) = server.upload("faces", archive().to_vec()).await;
    let path = format!("/datasets/{}", id(&dataset));
    let failed = server.when(&path, |dataset| dataset["status"] != "importing").await;
    assert_eq!(failed["error"], "the import crashed (signal 11)", "{failed}");
    for part in ["imports", "uploads", "datasets"] {
        until(part, || entries(&data.path().join(part)).is_empty()).await;
    }
}

#[tokio::test]
async fn a_killed_import_is_restarted_but_only_a_few_times() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (starts, is_safe) = (folder.path().join("starts"), folder.path().join("safe"));
    let script = format!(
        "echo start >> {0}\n[ $(wc -l < {0}) -ge 2 ] && [ -e {1} ] || kill -KILL $$",
        starts.display(),
        is_safe.display()
    );
    let server = Server::start(data.path(), real_worker_after(&script)).await;
    let (_, dataset) = server.upload("faces", archive().to_vec()).await;
    let path = format!("/datasets/{}", id(&dataset));
    let failed = server.when(&path, |dataset| dataset["status"] != "importing").await;
    assert!(failed["error"].as_str().unwrap().contains("killed 3 times"), "{failed}");
    assert_eq!(std::fs::read_to_string(&starts).unwrap().lines().count(), 3);

    std::fs::remove_file(&starts).unwrap();
    std::fs::write(&is_safe, "").unwrap();
    server.dataset().await;
    assert_eq!(std::fs::read_to_string(&starts).unwrap().lines().count(), 2);
}

#[tokio::test]
async fn an_import_that_needs_too_much_memory_fails_and_names_the_limit() {
    let data = tempfile::tempdir().unwrap();
    let mut config = config();
    config.limits.import_memory_bytes = 128 << 20;
    let server = Server::start_with(data.path(), real_worker(), config).await;
    let mut table = "image_path,x1,y1,w,h\n".to_owned();
    for row in 0_u64..3_000_000 {
        let number = row.wrapping_mul(6_364_136_223_846_793_005) >> 40;
        writeln!(table, "{number}.jpg,{},1,9,9", number % 97).unwrap();
    }
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in
        [("labels.csv", table.as_bytes()), ("0.jpg", b"rows are read only beside pictures")]
    {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        std::io::Write::write_all(&mut zip, bytes).unwrap();
    }
    let zip = zip.finish().unwrap().into_inner();
    let (status, dataset) = server.upload("rows", zip).await;
    assert_eq!(status, 202, "{dataset}");
    let path = format!("/datasets/{}", id(&dataset));
    let failed = server.when(&path, |dataset| dataset["status"] != "importing").await;
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("limits.import_memory_bytes") && error.contains("128 MB"), "{error}");
    server.dataset().await;
}
