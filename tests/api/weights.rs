//! Weights through a whole server: uploaded, trained by real workers, downloaded, and read by other programs.

use std::fs;
use std::path::Path;
use std::process::Command;

use blazetune::model::layout::BACK;
use blazetune::weights::export::{Format, Notes};
use blazetune::weights::{self, pth, tflite};
use serde_json::{Value, json};

use crate::common::shared;
use crate::consumers::{Python, compare, made_up, path, tuned};
use crate::models::{download, upload};
use crate::process::Program;
use crate::support::{Server, id, real_worker};

/// The published weights of the back camera's network, or made-up ones if those are missing.
fn back() -> Vec<u8> {
    let published = shared("weights/hollance_back_256.pth");
    published.map_or_else(|| pth::write(&made_up(&BACK)).unwrap(), |file| fs::read(file).unwrap())
}

/// Runs a training job to its end and returns its model.
async fn trained(server: &Server, dataset: &str, params: Value) -> Value {
    let job = server.job(dataset, params).await;
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!(done["state"], "completed", "{done}");
    let (_, models) = server.get("/models").await;
    let mut models = models["items"].as_array().unwrap().iter();
    models.find(|model| model["job_id"] == job.as_str()).unwrap().clone()
}

/// Downloads a model's file to `folder`, where other programs can read it.
async fn fetch(server: &Server, model: &Value, name: &str, folder: &Path) -> std::path::PathBuf {
    let (status, bytes) = download(server, &format!("/models/{}/{name}", id(model))).await;
    assert_eq!(status, 200, "{name}");
    let file = folder.join(name);
    fs::write(&file, bytes).unwrap();
    file
}

#[tokio::test]
async fn the_back_cameras_network_is_trained_evaluated_and_read_by_other_programs() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), real_worker()).await;
    let (dataset, bytes) = (server.dataset().await, back());
    let (status, before) = upload(&server, "back", bytes.clone()).await;
    assert_eq!((status, &before["variant"]), (201, &json!("back")), "{before}");
    let params = json!({"init": id(&before), "epochs": 1, "batch_size": 4, "device": "cpu"});
    let model = trained(&server, &dataset, params).await;
    assert_eq!(model["variant"], json!("back"), "{model}");
    assert_eq!(model["metrics"]["epoch"], json!(1), "{model}");

    // With the learnt weights, PyTorch and ONNX Runtime compute the same outputs as our network.
    let place = folder.path();
    let learnt = fetch(&server, &model, "best.safetensors", place).await;
    let learnt = weights::load(&fs::read(learnt).unwrap()).unwrap();
    assert!(learnt != weights::load(&bytes).unwrap(), "nothing was learnt");
    if let Some(python) = Python::find() {
        for name in ["best.pth", "best.safetensors"] {
            let file = fetch(&server, &model, name, place).await;
            compare(&python, &["torch_network.py", path(&file)], &learnt, name);
        }
        let file = fetch(&server, &model, "best.onnx", place).await;
        compare(&python, &["onnx_runtime.py", "raw", path(&file)], &learnt, "best.onnx");
        let last = fs::read(fetch(&server, &model, "last.pth", place).await).unwrap();
        let file = fetch(&server, &model, "last.bn.pth", place).await;
        let last = weights::load(&last).unwrap();
        compare(&python, &["torch_network.py", path(&file)], &last, "last.bn.pth");
    }
    let card = fs::read(fetch(&server, &model, "card.json", place).await).unwrap();
    let card: Value = serde_json::from_slice(&card).unwrap();
    assert_eq!(card["network"], json!(BACK.title));
    assert_eq!(card["base_weights"]["sha256"], before["files"][0]["sha256"], "{card}");
    let path = format!("/models/{}", id(&model));
    for name in ["best.tflite", "best.float32.tflite", "best.int8.tflite"] {
        assert!(!model["downloads"].as_array().unwrap().contains(&json!(name)), "{model}");
        assert_eq!(download(&server, &format!("{path}/{name}")).await.0, 422, "{name}");
    }
    assert_eq!(server.post(&format!("{path}/mix"), &json!({"retain": 0.5})).await.0, 409);

    // An evaluation gives the same figures as training did.
    let body = json!({"kind": "evaluate", "dataset_id": dataset, "model_id": id(&model), "compare_with": id(&before)});
    let (status, job) = server.post("/jobs", &body).await;
    assert_eq!(status, 201, "{job}");
    let done = server.when_state(&id(&job), &["completed", "failed"]).await;
    assert_eq!(done["state"], "completed", "{done}");
    let (_, report) = server.get(&format!("/jobs/{}/artifacts/report.json", id(&job))).await;
    for (measured, when) in [(&report["models"][0], "best"), (&report["models"][1], "baseline")] {
        let (found, expected) = (&measured["ap50_95"], &model["metrics"][when]["ap50_95"]);
        let gap = found.as_f64().unwrap_or_default() - expected.as_f64().unwrap_or_default();
        assert!(gap.abs() < 1e-4, "{when}: {found}, but training measured {expected}");
    }
}

#[tokio::test]
async fn a_job_without_epochs_returns_its_tflite_bit_for_bit() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), real_worker()).await;
    let dataset = server.dataset().await;
    let ours = tflite::write(tflite::base(), &tuned()).unwrap();
    for (name, bytes, retain) in
        [("google", tflite::base(), json!("auto")), ("ours", ours.as_slice(), json!(0.0))]
    {
        let (status, before) = upload(&server, name, bytes.to_vec()).await;
        assert_eq!(status, 201, "{before}");
        let params = json!({
            "init": id(&before), "epochs": 0, "retain": retain, "calibrate_scores": name == "google",
            "device": "cpu"
        });
        let model = trained(&server, &dataset, params).await;
        for file in ["best.tflite", "last.tflite"] {
            let (_, after) = download(&server, &format!("/models/{}/{file}", id(&model))).await;
            assert!(after == bytes, "{name}: {file} has changed");
        }
    }
}

#[tokio::test]
async fn the_last_epoch_is_available_with_batch_norm_while_its_checkpoint_exists() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(&folder.path().join("data"), real_worker()).await;
    let dataset = server.dataset().await;
    let params = json!({"epochs": 1, "batch_size": 8, "device": "cpu"});
    let model = trained(&server, &dataset, params).await;
    let file = fetch(&server, &model, "last.bn.pth", folder.path()).await;
    let last = fetch(&server, &model, "last.safetensors", folder.path()).await;
    let last = weights::load(&fs::read(last).unwrap()).unwrap();
    if let Some(python) = Python::find() {
        compare(&python, &["torch_network.py", path(&file)], &last, "last.bn.pth");
    }
    let job = folder.path().join("data/jobs").join(model["job_id"].as_str().unwrap());
    fs::remove_dir_all(job.join("checkpoints")).unwrap();
    let (status, problem) = download(&server, &format!("/models/{}/last.bn.pth", id(&model))).await;
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!(status, 404);
    assert!(problem["detail"].as_str().unwrap().contains("checkpoint"), "{problem}");
}

#[tokio::test]
async fn the_command_line_imports_a_file_into_a_running_server() {
    let folder = tempfile::tempdir().unwrap();
    let server = Program::start(folder.path());
    let import = |file: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_blazetune"));
        let address = server.base.trim_end_matches("/api/v1");
        let output = command.args(["import", "--server", address]).arg(file).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    };
    let file = folder.path().join("night shift.onnx"); // Its extension is wrong.
    fs::write(&file, Format::TfliteInt8.write(&tuned(), &Notes::default()).unwrap()).unwrap();
    let (done, printed, errors) = import(&file);
    assert!(done, "{errors}");
    let model: Value = serde_json::from_str(&printed).unwrap();
    assert_eq!((&model["name"], &model["kind"]), (&json!("night shift"), &json!("imported")));
    assert_eq!(model["files"][0]["name"], json!("model.tflite"), "{model}");
    let listed = server.get("/models").await;
    assert_eq!(listed["items"][0]["id"], model["id"]);

    fs::write(&file, b"hello").unwrap();
    let (done, _, errors) = import(&file);
    assert!(!done && errors.contains("not a weights file"), "{errors}");
}

/// The memory of a process in bytes: `what` is `VmRSS` for the current use, `VmHWM` for the peak.
fn memory(pid: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(what)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[tokio::test]
async fn refusing_a_hostile_file_takes_less_than_a_hundred_megabytes() {
    let folder = tempfile::tempdir().unwrap();
    let server = Program::start(folder.path());
    let send = async |bytes: Vec<u8>| {
        let request = server.client.post(format!("{}/models?name=hostile", server.base));
        let answer = request.body(bytes).send().await.unwrap();
        (answer.status().as_u16(), answer.json::<Value>().await.unwrap())
    };
    // The first upload allocates what every upload needs.
    assert_eq!(send(tflite::base().to_vec()).await.0, 201);
    let pid = server.child.id();
    for (what, bytes, expected) in hostile() {
        fs::write(format!("/proc/{pid}/clear_refs"), "5").unwrap(); // Resets the peak.
        let before = memory(pid, "VmRSS");
        let (status, problem) = send(bytes).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == 422 && detail.contains(expected), "{what}: {status} {problem}");
        let grown = memory(pid, "VmHWM").saturating_sub(before);
        assert!(grown < 100_000_000, "{what}: {grown} bytes more");
    }
}

/// Hostile files: a description of each, its bytes, and part of the expected refusal.
fn hostile() -> Vec<(&'static str, Vec<u8>, &'static str)> {
    let corpus = |name: &str| {
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name)).unwrap()
    };
    let whole = pth::write(&tuned()).unwrap();
    let large = vec![0x28; 1 << 20]; // Marks that fill the largest pickle that is read.
    let deep = [MAGIC, b"\x80\x02", &large, b"."].concat();
    let mut header = (30u64 << 20).to_le_bytes().to_vec();
    header.extend(b"{\"a\":");
    header.resize(8 + (30 << 20), b'[');
    vec![
        ("a zip that is cut off", whole[..whole.len() / 2].to_vec(), ".pth file is damaged"),
        ("a .tflite that is cut off", tflite::base()[..100_000].to_vec(), "damaged"),
        (
            "a zip that unpacks to gigabytes",
            corpus("zip/bomb.pth"),
            "larger than this network needs",
        ),
        ("deeply nested tuples", corpus("zip/deep.pth"), "262144 values"),
        ("a million marks", deep, "pickle"),
        ("a storage of exabytes", corpus("legacy/huge.pth"), "storage"),
        ("a vector longer than the file", corpus("tflite/huge_vector.tflite"), "damaged"),
        ("a shape of exabytes", corpus("safetensors/huge_shape.safetensors"), ".safetensors"),
        ("deeply nested arrays", corpus("safetensors/nested.safetensors"), ".safetensors"),
        ("a header of 30 MiB", header, ".safetensors"),
        ("a call to os.system", corpus("zip/os_system.pth"), "os.system"),
        ("the same in the old container", corpus("legacy/os_system.pth"), "os.system"),
    ]
}

/// The start of a file in the container that PyTorch used before 1.6.
const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.";
