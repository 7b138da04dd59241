//! What happens to jobs whose workers fail or have to wait, and what a user can do about it.

use serde_json::{Value, json};

use crate::life::{WORDS, server_of, verb};
use crate::support::{Server, config, script};

/// Returns the actor, the old state, the new state and the reason of each transition.
async fn history(server: &Server, job: &str) -> Vec<[String; 4]> {
    let (_, list) = server.get(&format!("/jobs/{job}/transitions")).await;
    let text = |item: &Value, name: &str| item[name].as_str().unwrap_or("-").to_owned();
    let items = list["items"].as_array().unwrap().iter();
    items.map(|item| ["actor", "from", "to", "reason"].map(|name| text(item, name))).collect()
}

fn line(actor: &str, from: &str, to: &str, reason: &str) -> [String; 4] {
    [actor, from, to, reason].map(str::to_owned)
}

#[tokio::test]
async fn a_paused_job_that_is_stopped_keeps_its_result_and_its_history() {
    let (folder, server, dataset) = server_of(
        r#"touch "$dir/checkpoints/last.safetensors"; say "$started"
        while true; do
            if wanted pause; then finished paused; exit; fi
            if wanted stop; then finished stopped; exit; fi
            sleep 0.01
        done"#,
    )
    .await;
    let job = server.job(&dataset, json!({})).await;
    let checkpoint = folder.path().join("jobs").join(&job).join("checkpoints/last.safetensors");
    server.when(&format!("/jobs/{job}"), |_| checkpoint.exists()).await;
    verb(&server, &job, "pause").await;
    server.when_state(&job, &["paused"]).await;
    assert_eq!(verb(&server, &job, "stop").await.0, 202);
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!(done["state"], "completed", "{done}");
    assert!(done["ran_s"].as_f64().unwrap() > 0.0);
    let expected = [
        line("user", "-", "queued", "submitted"),
        line("server", "queued", "running", "cpu has a free slot"),
        line("user", "running", "pausing", "told to pause"),
        line("worker", "pausing", "paused", "paused"),
        line("user", "paused", "stopping", "told to stop"),
        line("server", "stopping", "stopping", "cpu has a free slot"),
        line("worker", "stopping", "completed", "stopped early"),
    ];
    assert_eq!(history(&server, &job).await, expected);
}

#[tokio::test]
async fn a_job_that_waits_to_be_stopped_can_be_cancelled() {
    let (folder, server, dataset) =
        server_of("say \"$started\"; until_wanted stop; finished stopped").await;
    let first = server.job(&dataset, json!({})).await;
    server.when_state(&first, &["running"]).await;
    let second = server.job(&dataset, json!({})).await;
    let checkpoints = folder.path().join("jobs").join(&second).join("checkpoints");
    std::fs::create_dir_all(&checkpoints).unwrap();
    std::fs::write(checkpoints.join("last.safetensors"), "x").unwrap();
    assert_eq!(verb(&server, &second, "stop").await.1["state"], "stopping");
    assert_eq!(verb(&server, &second, "stop").await.0, 202, "a repeated stop changes nothing");
    assert_eq!(verb(&server, &second, "cancel").await.1["state"], "cancelled");
    verb(&server, &first, "stop").await;
    server.when_state(&first, &["completed"]).await;
}

#[tokio::test]
async fn a_failed_job_continues_once_the_cause_is_fixed() {
    let (folder, server, dataset) = server_of(
        r#"say "$started"; if [ -e "$dir/mended" ]; then finished completed; exit; fi
        kill -SEGV $$"#,
    )
    .await;
    let job = server.job(&dataset, json!({})).await;
    let failed = server.when_state(&job, &["failed"]).await;
    assert_eq!((&failed["failure"], &failed["restarts"]), (&json!("crashed"), &json!(3)));
    std::fs::write(folder.path().join("jobs").join(&job).join("mended"), "").unwrap();
    assert_eq!(verb(&server, &job, "resume").await.0, 200);
    let done = server.when_state(&job, &["completed"]).await;
    assert_eq!((&done["restarts"], &done["error"]), (&json!(0), &Value::Null));
    let history = history(&server, &job).await;
    let restarts = history.iter().filter(|line| line[3].starts_with("started again: ")).count();
    assert_eq!(restarts, 3, "{history:?}");
}

#[tokio::test]
async fn a_worker_that_hangs_is_replaced() {
    let worker = format!(
        r#"{WORDS}say "$started"; if [ -e "$dir/hung" ]; then finished completed; exit; fi
        touch "$dir/hung"; kill -STOP $$"#
    );
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.jobs.hang_timeout_s = 1;
    let server = Server::start_with(folder.path(), script(&worker), config).await;
    let dataset = server.dataset().await;
    let job = server.job(&dataset, json!({})).await;
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!((&done["state"], &done["restarts"]), (&json!("completed"), &json!(1)), "{done}");
    let history = history(&server, &job).await;
    let why = "started again: the worker gave no sign of life for 1 s";
    assert_eq!(history[2], line("server", "running", "running", why));
}

#[tokio::test]
async fn a_job_that_runs_out_of_gpu_memory_continues_with_smaller_batches() {
    let worker = format!(
        r#"{WORDS}tr -d ' \n' < "$dir/spec.json" | grep -o '"batch_divisor":[0-9]*' >> "$dir/batches"
        if grep -q '"batch_divisor":4' "$dir/batches"; then finished completed; exit; fi
        finished failed '"CUDA out of memory"' '"out_of_memory"'"#
    );
    let folder = tempfile::tempdir().unwrap();
    let gpus = vec!["cuda:0".to_owned()];
    let server = Server::start_on(folder.path(), script(&worker), config(), gpus).await;
    let dataset = server.dataset().await;
    let job = server.job(&dataset, json!({})).await; // Blazetune chooses a batch size of 8.
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!(
        (&done["state"], &done["batch_divisor"]),
        (&json!("completed"), &json!(4)),
        "{done}"
    );
    let batches = folder.path().join("jobs").join(&job).join("batches");
    let batches = std::fs::read_to_string(batches).unwrap();
    let expected = [1, 2, 4].map(|divisor| format!("\"batch_divisor\":{divisor}"));
    assert_eq!(batches.lines().collect::<Vec<_>>(), expected);
    let history = history(&server, &job).await;
    let why = "started again with batches half as large: CUDA out of memory";
    assert_eq!(history[2], line("worker", "running", "running", why));
}

#[tokio::test]
async fn a_job_that_runs_out_of_disk_space_is_paused_and_continues_by_itself() {
    for word in [r#"finished failed '"no room"' '"disk_full"'; exit"#, "exit 28"] {
        let (folder, server, dataset) = server_of(&format!(
            r#"echo run >> "$dir/runs"; if [ $(wc -l < "$dir/runs") = 2 ]; then finished completed; exit; fi; {word}"#
        ))
        .await;
        let job = server.job(&dataset, json!({})).await;
        let done = server.when_state(&job, &["completed", "failed"]).await;
        assert_eq!((&done["state"], &done["restarts"]), (&json!("completed"), &json!(0)), "{done}");
        let history = history(&server, &job).await;
        let states: Vec<&str> = history.iter().map(|line| line[2].as_str()).collect();
        assert_eq!(states, ["queued", "running", "paused", "queued", "running", "completed"]);
        assert_eq!(history[3][3], "the disk has space again");
        drop(folder);
    }
}

#[tokio::test]
async fn a_job_on_a_broken_disk_waits_until_the_user_resumes_it() {
    let (_folder, server, dataset) = server_of(
        r#"echo run >> "$dir/runs"; if [ $(wc -l < "$dir/runs") = 2 ]; then finished completed; exit; fi
        finished failed '"cannot write"' '"disk_error"'"#,
    )
    .await;
    let job = server.job(&dataset, json!({})).await;
    let held = server.when_state(&job, &["paused"]).await;
    assert_eq!((&held["hold"], &held["error"]), (&json!("disk_error"), &json!("cannot write")));
    assert_eq!(verb(&server, &job, "resume").await.0, 200);
    let done = server.when_state(&job, &["completed"]).await;
    assert_eq!((&done["hold"], &done["error"]), (&Value::Null, &Value::Null));
}

#[tokio::test]
async fn a_job_starts_no_earlier_than_requested_and_stops_at_its_time_limit() {
    let (_folder, server, dataset) =
        server_of("say \"$started\"; until_wanted stop; finished stopped").await;
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2);
    let body = json!({"kind": "train", "dataset_id": dataset, "time_limit_s": 1, "not_before": soon.to_string()});
    let (status, job) = server.post("/jobs", &body).await;
    assert_eq!((status, &job["state"]), (201, &json!("queued")), "{job}");
    let job = job["id"].as_str().unwrap().to_owned();
    let done = server.when_state(&job, &["completed", "failed"]).await;
    let started: jiff::Timestamp = done["started_at"].as_str().unwrap().parse().unwrap();
    assert!(started >= soon, "{started} is before {soon}");
    let history = history(&server, &job).await;
    let why = "its time limit of 1 s has expired";
    assert_eq!(history[2], line("server", "running", "stopping", why));

    let wrong = json!({"kind": "train", "dataset_id": dataset, "not_before": "tomorrow"});
    let (status, problem) = server.post("/jobs", &wrong).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/not_before")));
}

#[tokio::test]
async fn a_queued_job_can_be_moved_to_the_front() {
    let (_folder, server, dataset) =
        server_of("say \"$started\"; until_wanted stop; finished stopped").await;
    let mut jobs = Vec::new();
    for _ in 0..3 {
        jobs.push(server.job(&dataset, json!({})).await);
    }
    server.when_state(&jobs[0], &["running"]).await;
    assert_eq!(verb(&server, &jobs[2], "front").await.0, 200);
    let (status, problem) = verb(&server, &jobs[0], "front").await;
    assert_eq!((status, &problem["state"]), (409, &json!("running")));
    for job in [0, 2, 1] {
        server.when_state(&jobs[job], &["running"]).await;
        verb(&server, &jobs[job], "stop").await;
        server.when_state(&jobs[job], &["completed"]).await;
    }
}

#[tokio::test]
async fn a_job_waits_for_memory_and_the_server_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.devices.min_free_memory_mib = 1 << 40;
    let server = Server::start_with(folder.path(), script("exit 0"), config).await;
    let dataset = server.dataset().await;
    let job = server.job(&dataset, json!({})).await;
    let system = server.when("/system", |system| system["waiting"]["cpu"].is_string()).await;
    assert!(system["waiting"]["cpu"].as_str().unwrap().contains("of memory is free"));
    assert_eq!(server.get(&format!("/jobs/{job}")).await.1["state"], "queued");
}

#[tokio::test]
async fn a_job_whose_folder_is_deleted_starts_over() {
    let (folder, server, dataset) = server_of(
        r#"[ -e "$dir/events.jsonl" ] || : > "$dir/events.jsonl"; say "$started"
        if [ -e "$dir/../again" ]; then finished completed; exit; fi
        touch "$dir/../again"; while [ -d "$dir" ]; do sleep 0.01; done"#,
    )
    .await;
    let job = server.job(&dataset, json!({})).await;
    server.when(&format!("/jobs/{job}"), |job| job["progress"].is_object()).await;
    std::fs::remove_dir_all(folder.path().join("jobs").join(&job)).unwrap();
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!(done["state"], "completed", "{done}");
}
