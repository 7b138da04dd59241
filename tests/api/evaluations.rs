//! Evaluations as jobs: any model on any data set, over HTTP.

use std::path::Path;
use std::process::Command;

use blazetune::weights::tflite;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, id, read, real_worker, script};

/// Imports MediaPipe's weights as a model and returns its id.
async fn import_model(server: &Server) -> String {
    let request = server.request(Method::POST, "/models?name=again").body(tflite::base());
    let (status, model) = read(request.send().await.unwrap()).await;
    assert_eq!(status, 201, "{model}");
    id(&model)
}

async fn evaluate(server: &Server, body: &Value) -> String {
    let (status, job) = server.post("/jobs", body).await;
    assert_eq!((status, &job["kind"]), (201, &json!("evaluate")), "{job}");
    id(&job)
}

#[tokio::test]
async fn an_evaluation_reports_the_same_figures_as_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), real_worker()).await;
    let (dataset, model) = (server.dataset().await, import_model(&server).await);
    let body = json!({
        "kind": "evaluate", "name": "how good", "dataset_id": dataset, "model_id": model,
        "compare_with": "mediapipe", "split": "all",
    });
    let job = evaluate(&server, &body).await;
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!(
        (&done["state"], &done["name"]),
        (&json!("completed"), &json!("how good")),
        "{done}"
    );
    let params = json!({"model_id": model, "compare_with": "mediapipe", "split": "all"});
    assert_eq!((&done["params"], &done["model_id"]), (&params, &Value::Null));
    assert_eq!(done["progress"]["steps"], 32, "16 pictures for each model: {done}");

    let path = format!("/jobs/{job}/artifacts");
    let (_, report) = server.get(&format!("{path}/report.json")).await;
    assert_eq!((&report["dataset"], &report["split"]), (&json!("faces"), &json!("all")));
    let (first, second) = (&report["models"][0], &report["models"][1]);
    assert_eq!((&first["model"], &second["model"]), (&json!("again"), &json!("mediapipe")));
    assert_eq!((&first["pictures"], &first["by_min_size"]), (&json!(16), &second["by_min_size"]));
    assert_eq!(second["keypoint_nme"], 0.0, "the same weights");
    let printed = command_line(&folder.path().join("datasets").join(&dataset));
    for figure in [&first["ap50_95"], &first["best"]["threshold"], &first["best"]["f1"]] {
        let figure = format!("{:8.3}", figure.as_f64().unwrap());
        assert!(printed.contains(&figure), "no {figure} in\n{printed}");
    }

    let (_, files) = server.get(&path).await;
    let names: Vec<&str> =
        files["items"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap()).collect();
    for name in ["ground_truth.json", "detections.json", "detections_compare.json"] {
        assert!(names.contains(&name), "{names:?}");
    }
    let drawings = names.iter().filter(|name| name.starts_with("worst_0")).count();
    assert_eq!(drawings, first["worst"].as_array().unwrap().len().min(9), "{names:?}");
    let drawing = server.request(Method::GET, &format!("{path}/worst_01.jpg"));
    let drawing = drawing.send().await.unwrap();
    assert_eq!(drawing.headers()["content-type"], "image/jpeg");
    let drawing = image::load_from_memory(&drawing.bytes().await.unwrap()).unwrap();
    assert_eq!(drawing.width().max(drawing.height()), 768);

    let (_, models) = server.get("/models").await;
    assert_eq!(models["items"].as_array().unwrap().len(), 2, "no model was added: {models}");
    assert_eq!(server.delete(&format!("/jobs/{job}")).await.0, 204);
}

/// Returns what `blazetune evaluate` prints for MediaPipe's model, with libtorch on one thread, as in the server's
/// jobs.
fn command_line(dataset: &Path) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_blazetune"));
    command.args(["evaluate", "--model", "mediapipe", "--split", "all", "--dataset"]).arg(dataset);
    let output = command.env("OMP_NUM_THREADS", "1").output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn an_evaluation_with_a_wrong_value_is_refused_with_a_pointer_to_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let nobody = "01970000-0000-7000-8000-000000000000";
    let dataset = server.dataset().await;
    let cases = [
        (json!({}), "/model_id"),
        (json!({"model_id": "best"}), "/model_id"),
        (json!({"model_id": nobody}), "/model_id"),
        (json!({"model_id": "mediapipe", "compare_with": nobody}), "/compare_with"),
        (json!({"model_id": "mediapipe", "compare_with": "base"}), "/compare_with"),
        (json!({"model_id": "mediapipe", "split": "test"}), "/split"),
        (json!({"model_id": "mediapipe", "dataset_id": nobody}), "/dataset_id"),
        (json!({"model_id": "mediapipe", "dataset_id": "faces"}), "/dataset_id"),
        (json!({"model_id": "mediapipe", "name": " "}), "/name"),
        (json!({"model_id": "mediapipe", "params": {}}), "/params"),
    ];
    for (wrong, pointer) in cases {
        let mut body = json!({"kind": "evaluate", "dataset_id": dataset});
        body.as_object_mut().unwrap().extend(wrong.as_object().unwrap().clone());
        let (status, problem) = server.post("/jobs", &body).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{problem}");
    }
    assert_eq!(server.get("/jobs").await.1["items"], json!([]), "nothing was queued");
}

/// Reports that half of the pictures are measured, then waits to be cancelled.
const SLOW: &str = r#"
dir=$1; echo run >> $dir/runs
say() { printf '{"seq":%s,"at":"2026-01-01T00:00:00.000Z",%s}\n' "$1" "$2" >> "$dir/events.jsonl"; }
[ -s "$dir/events.jsonl" ] || say 1 '"type":"started","device":"cpu","resumed_at_epoch":0,"epochs":0,"steps":16'
say 2 '"type":"measured","pictures":8,"total":16,"images_per_s":4,"eta_s":2'
while ! grep -q '"cancel"' "$dir/control.json"; do sleep 0.01; done
say 3 '"type":"finished","outcome":"cancelled","error":null,"retry":false,"artifacts":[]'
"#;

#[tokio::test]
async fn an_evaluation_outlives_its_server_and_can_be_cancelled_but_not_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script(SLOW)).await;
    let (dataset, model) = (server.dataset().await, import_model(&server).await);
    let body = json!({"kind": "evaluate", "dataset_id": dataset, "model_id": model});
    let job = evaluate(&server, &body).await;
    let path = format!("/jobs/{job}");
    let running = server.when(&path, |job| job["progress"]["step"] == 8).await;
    assert_eq!(
        (&running["state"], &running["progress"]["eta_s"]),
        (&json!("running"), &json!(2.0))
    );
    server.shut_down().await;

    let server = Server::start(folder.path(), script(SLOW)).await;
    assert_eq!(server.get(&path).await.1["state"], "running");
    let (status, problem) = server.post(&format!("{path}/stop"), &json!({})).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("cancel it"), "{problem}");
    assert_eq!(server.post(&format!("{path}/cancel"), &json!({})).await.0, 202);
    server.when_state(&job, &["cancelled"]).await;
    let dir = folder.path().join("jobs").join(&job);
    assert_eq!(std::fs::read_to_string(dir.join("runs")).unwrap(), "run\n", "only one worker ran");
    server.when(&path, |_| !dir.join("artifacts").exists()).await;
}

/// Completes training at once, but evaluates until it is cancelled.
const TRAINS_AT_ONCE: &str = r#"
dir=$1
say() { printf '{"seq":1,"at":"2026-01-01T00:00:00.000Z","type":"finished","error":null,"retry":false,%s}\n' "$1" >> "$dir/events.jsonl"; }
if grep -q '"kind": "train"' "$dir/spec.json"; then
    sha256=$(printf '%064d' 0)
    say '"outcome":"completed","artifacts":[{"name":"best.pth","size_bytes":1,"sha256":"'$sha256'"}]'
else
    while ! grep -q '"cancel"' "$dir/control.json"; do sleep 0.01; done
    say '"outcome":"cancelled","artifacts":[]'
fi
"#;

#[tokio::test]
async fn a_training_job_cannot_be_deleted_while_its_model_is_evaluated() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script(TRAINS_AT_ONCE)).await;
    let dataset = server.dataset().await;
    let trained = server.job(&dataset, json!({})).await;
    let trained = server.when_state(&trained, &["completed"]).await;
    let training = format!("/jobs/{}", id(&trained));
    let body = json!({
        "kind": "evaluate", "dataset_id": dataset, "model_id": "mediapipe",
        "compare_with": trained["model_id"],
    });
    let job = evaluate(&server, &body).await;
    let (status, problem) = server.delete(&training).await;
    assert_eq!(status, 409, "{problem}");
    server.post(&format!("/jobs/{job}/cancel"), &json!({})).await;
    server.when_state(&job, &["cancelled"]).await;
    assert_eq!(server.delete(&training).await.0, 204);
}
