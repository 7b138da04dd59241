//! Which files of finished jobs are kept, and how the others are deleted.

use std::path::Path;

use blazetune::config::Config;
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::life::WORDS;
use crate::support::{Server, config, read, script};

/// Leaves behind the same files as a real worker, 100 kB each.
const WORK: &str = r#"
for file in checkpoints/last.safetensors checkpoints/previous.safetensors artifacts/best.tflite; do
    head -c 100000 /dev/zero > "$dir/$file"
done
say "$started"
printf '{"seq":2,"at":"2026-01-01T00:00:00.000Z","type":"finished","outcome":"completed","error":null,"cause":null,"artifacts":[{"name":"best.tflite","size_bytes":100000,"sha256":"%064d"}]}\n' 0 >> "$dir/events.jsonl"
"#;

async fn serve(folder: &Path, config: Config) -> Server {
    Server::start_with(folder, script(&format!("{WORDS}{WORK}")), config).await
}

async fn completed(server: &Server, dataset: &str, params: Value) -> Value {
    let job = server.job(dataset, params).await;
    server.when_state(&job, &["completed", "failed"]).await
}

fn id(job: &Value) -> &str {
    job["id"].as_str().unwrap()
}

#[tokio::test]
async fn old_jobs_lose_their_files_unless_their_models_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    (config.storage.keep_jobs, config.storage.keep_checkpoints) = (1, 1);
    let server = serve(folder.path(), config).await;
    let dataset = server.dataset().await;
    let tagged = completed(&server, &dataset, json!({})).await;
    let path = format!("/models/{}", tagged["model_id"].as_str().unwrap());
    let tag = server.request(Method::PATCH, &path).json(&json!({"tags": ["in use"]}));
    assert_eq!(read(tag.send().await.unwrap()).await.0, 200);
    let base = completed(&server, &dataset, json!({})).await;
    let old = completed(&server, &dataset, json!({"init": base["model_id"]})).await;
    let newest = completed(&server, &dataset, json!({})).await;

    let file = |job: &Value, name: &str| folder.path().join("jobs").join(id(job)).join(name);
    let there = |job: &Value| {
        let names = ["checkpoints/last.safetensors", "artifacts/best.tflite", "events.jsonl"];
        names.map(|name| file(job, name).exists())
    };
    let path = format!("/jobs/{}", id(&old));
    let old_now =
        server.when(&path, |job| job["model_id"].is_null() && there(&old) == [false; 3]).await;
    assert_eq!(old_now["state"], "completed");
    assert_eq!(server.get(&format!("{path}/artifacts")).await.1["items"], json!([]));
    let history = server.get(&format!("{path}/transitions")).await.1;
    let last = history["items"].as_array().unwrap().last().unwrap().clone();
    assert_eq!(last["reason"], "its files are no longer kept");
    let model = format!("/models/{}", old["model_id"].as_str().unwrap());
    assert_eq!(server.get(&model).await.0, 404);

    for job in [&tagged, &base, &newest] {
        assert_eq!(there(job), [true; 3], "{job}");
        assert!(server.get(&format!("/jobs/{}", id(job))).await.1["model_id"].is_string());
        let previous = file(job, "checkpoints/previous.safetensors");
        server.when(&path, |_| !previous.exists()).await;
    }
}

#[tokio::test]
async fn a_cleanup_that_a_crash_interrupted_is_completed_by_the_next_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), config()).await;
    let dataset = server.dataset().await;
    let job = completed(&server, &dataset, json!({})).await;
    server.shut_down().await;
    // The intention is stored, `checkpoints` is renamed and half deleted, and the rest is untouched.
    let options = SqliteConnectOptions::new().filename(folder.path().join("blazetune.sqlite"));
    let mut db = SqliteConnection::connect_with(&options).await.unwrap();
    let intend = sqlx::query("insert into deletion (job_id, part) values (?, 'files')");
    intend.bind(id(&job)).execute(&mut db).await.unwrap();
    let dir = folder.path().join("jobs").join(id(&job));
    std::fs::rename(dir.join("checkpoints"), dir.join("checkpoints.deleted")).unwrap();
    std::fs::remove_file(dir.join("checkpoints.deleted/last.safetensors")).unwrap();

    let server = serve(folder.path(), config()).await;
    let left: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name()).collect();
    let is_gone = |name: &str| !left.iter().any(|left| left.to_string_lossy().contains(name));
    assert!(["checkpoints", "artifacts", "events", "deleted"].into_iter().all(is_gone), "{left:?}");
    let intended: i64 =
        sqlx::query_scalar("select count(*) from deletion").fetch_one(&mut db).await.unwrap();
    assert_eq!(intended, 0);
    assert_eq!(server.get(&format!("/jobs/{}", id(&job))).await.1["state"], "completed");
}

#[tokio::test]
async fn a_data_folder_at_its_size_limit_accepts_no_upload() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.storage.max_bytes = 1000;
    let server = serve(folder.path(), config).await;
    let (status, problem) = server.upload("faces", crate::support::archive().to_vec()).await;
    assert_eq!(status, 507, "{problem}");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("storage.max_bytes"), "{detail}");
    assert_eq!(std::fs::read_dir(folder.path().join("uploads")).unwrap().count(), 0);
}
