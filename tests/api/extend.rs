//! More epochs for a finished job.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, id, read, real_worker, script};

async fn extend(server: &Server, job: &str, body: &Value) -> (u16, Value) {
    server.post(&format!("/jobs/{job}/extend"), body).await
}

async fn rows(server: &Server, job: &str) -> Vec<Value> {
    let (_, metrics) = server.get(&format!("/jobs/{job}/metrics")).await;
    metrics["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn extending_a_finished_job_creates_a_new_job_and_does_not_change_the_old_one() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), real_worker()).await;
    let dataset = server.dataset().await;
    let first = server.job(&dataset, json!({"epochs": 2, "device": "cpu"})).await;
    let before = server.when_state(&first, &["completed", "failed"]).await;
    let first_rows = rows(&server, &first).await;

    wrong_values(&server, &first).await;
    let queued = extend_twice_with_one_key(&server, &first).await;
    assert_eq!(queued["name"], "Unnamed (extended)");
    assert_eq!(queued["dataset_id"], dataset);
    assert_eq!(queued["params"]["epochs"], 3, "{queued}");

    let done = server.when_state(&id(&queued), &["completed", "failed"]).await;
    assert_eq!(done["state"], "completed", "{done}");
    let longer = rows(&server, &id(&done)).await;
    assert_eq!((longer.len(), &longer[..3]), (4, &first_rows[..]));
    assert_eq!((&longer[3]["epoch"], &done["progress"]["epochs"]), (&json!(3), &json!(3)));
    assert_eq!(server.get(&format!("/jobs/{first}")).await.1, before);
    assert!(done["model_id"].is_string() && done["model_id"] != before["model_id"]);

    let checkpoints = folder.path().join("jobs").join(&first).join("checkpoints");
    std::fs::remove_dir_all(checkpoints).unwrap();
    let (status, problem) = extend(&server, &first, &json!({"epochs": 9})).await;
    let detail = problem["detail"].as_str().unwrap();
    assert!(status == 409 && detail.contains("start a new job"), "{problem}");
}

async fn wrong_values(server: &Server, job: &str) {
    let cases = [
        (json!({"epochs": 2}), "/epochs"),
        (json!({"epochs": 0}), "/epochs"),
        (json!({"epochs": 10_001}), "/epochs"),
        (json!({"epochs": 2.5}), "/epochs"),
        (json!({"epochs": 3, "name": " "}), "/name"),
        (json!({"epochs": 3, "batch_size": 4}), "/batch_size"),
    ];
    for (body, pointer) in cases {
        let (status, problem) = extend(server, job, &body).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{problem}");
    }
    let folders = server.get("/jobs").await.1["items"].as_array().unwrap().len();
    assert_eq!(folders, 1, "a refused request creates no job");
}

/// Extends the job to three epochs, twice with the same key.
async fn extend_twice_with_one_key(server: &Server, job: &str) -> Value {
    let post = async |epochs: u32| {
        let request = server.request(Method::POST, &format!("/jobs/{job}/extend"));
        let request = request.header("idempotency-key", "more").json(&json!({"epochs": epochs}));
        read(request.send().await.unwrap()).await
    };
    let (first, again) = (post(3).await, post(3).await);
    assert_eq!((first.0, again.0, id(&first.1)), (201, 201, id(&again.1)), "{first:?}");
    assert_eq!(post(4).await.0, 422, "the key belongs to another request");
    first.1
}

#[tokio::test]
async fn a_job_without_a_result_cannot_be_extended() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("sleep 100")).await;
    let nobody = "01970000-0000-7000-8000-000000000000";
    assert_eq!(extend(&server, nobody, &json!({"epochs": 9})).await.0, 404);

    let job = server.job(&server.dataset().await, json!({})).await;
    server.when_state(&job, &["running"]).await;
    for (state, advice) in [("running", "or stop it"), ("cancelled", "start a new job")] {
        let (status, problem) = extend(&server, &job, &json!({"epochs": 20})).await;
        let detail = problem["detail"].as_str().unwrap();
        assert_eq!(status, 409, "{problem}");
        assert!(detail.contains(&format!("it is {state}")) && detail.contains(advice), "{detail}");
        server.post(&format!("/jobs/{job}/cancel"), &json!({})).await;
        server.when_state(&job, &["cancelled"]).await;
    }
}
