//! Workers that misbehave, played by shell scripts, and how the server handles them.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Server, script};

/// Shell functions for the scripts that play workers. `say` appends an event; `finished` appends the final one.
pub(crate) const WORDS: &str = r#"
say() { printf '%s\n' "$1" >> "$dir/events.jsonl"; }
dir=$1
seq=$(($(cat "$dir/events.jsonl" 2>/dev/null | wc -l) + 1))
started='{"seq":'$seq',"at":"2026-01-01T00:00:00.000Z","type":"started","device":"cpu","resumed_at_epoch":0,"epochs":2,"steps":9}'
finished() {
    printf '{"seq":9,"at":"2026-01-01T00:00:00.000Z","type":"finished","outcome":"%s","error":%s,"cause":%s,"artifacts":[]}\n' \
        "$1" "${2:-null}" "${3:-null}" >> "$dir/events.jsonl"
}
wanted() { grep -q "\"$1\"" "$dir/control.json"; }
until_wanted() { while ! wanted "$1"; do sleep 0.01; done; }
"#;

pub(crate) async fn server_of(worker: &str) -> (tempfile::TempDir, Server, String) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script(&format!("{WORDS}{worker}"))).await;
    let dataset = server.dataset().await;
    (folder, server, dataset)
}

pub(crate) async fn verb(server: &Server, job: &str, verb: &str) -> (u16, Value) {
    server.post(&format!("/jobs/{job}/{verb}"), &json!({})).await
}

#[tokio::test]
async fn a_worker_that_keeps_crashing_fails_its_job_with_its_last_words() {
    let (folder, server, dataset) =
        server_of("echo run >> $dir/runs; say \"$started\"; echo out of luck >&2; exit 3").await;
    let job = server.job(&dataset, json!({})).await;
    let failed = server.when_state(&job, &["failed"]).await;
    let expected = "the worker ended with exit code 3; it said: out of luck (after 3 restarts)";
    assert_eq!((&failed["error"], &failed["restarts"]), (&json!(expected), &json!(3)));
    let runs = std::fs::read_to_string(folder.path().join("jobs").join(&job).join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 4);
}

#[tokio::test]
async fn a_job_continues_after_a_crash_in_the_middle_of_a_line() {
    // Like the real worker, the second one cuts off the half-written line.
    let (_folder, server, dataset) = server_of(
        r#"if [ -e "$dir/crashed" ]; then
            head -n 1 "$dir/events.jsonl" > "$dir/e" && cat "$dir/e" > "$dir/events.jsonl"
            say "$started"; finished completed
        else
            say "$started"; printf '{"seq":2,"at":"20' >> "$dir/events.jsonl"
            touch "$dir/crashed"; kill -KILL $$
        fi"#,
    )
    .await;
    let job = server.job(&dataset, json!({})).await;
    let job = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!((&job["state"], &job["restarts"]), (&json!("completed"), &json!(1)), "{job}");
}

#[tokio::test]
async fn a_job_whose_workers_report_nonsense_fails_and_says_so() {
    let (_folder, server, dataset) = server_of(
        r#"if [ -e "$dir/crashed" ]; then : > "$dir/events.jsonl"; say "$started"; fi
        touch "$dir/crashed"; echo nonsense >> "$dir/events.jsonl"; sleep 100"#,
    )
    .await;
    let job = server.job(&dataset, json!({})).await;
    let job = server.when_state(&job, &["failed"]).await;
    assert!(job["error"].as_str().unwrap().contains("reported nonsense"), "{job}");
}

#[tokio::test]
async fn a_failure_that_a_retry_cannot_fix_is_final() {
    let (_folder, server, dataset) =
        server_of("finished failed '\"try a lower learning rate\"'").await;
    let job = server.job(&dataset, json!({})).await;
    let job = server.when_state(&job, &["failed"]).await;
    let error = json!("try a lower learning rate");
    assert_eq!((&job["error"], &job["restarts"]), (&error, &json!(0)));
    for (verb_name, status) in [("stop", 409), ("cancel", 409), ("resume", 409)] {
        let (answer, problem) = verb(&server, job["id"].as_str().unwrap(), verb_name).await;
        assert_eq!(answer, status, "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("is failed"), "{problem}");
        assert_eq!(problem["state"], "failed");
    }
}

#[tokio::test]
async fn a_job_can_be_paused_resumed_and_stopped_and_verbs_can_be_repeated() {
    let (_folder, server, dataset) = server_of(
        r#"say "$started"
        while true; do
            if wanted pause; then finished paused; exit; fi
            if wanted stop; then finished stopped; exit; fi
            sleep 0.01
        done"#,
    )
    .await;
    let job = server.job(&dataset, json!({})).await;
    let path = format!("/jobs/{job}");
    server.when_state(&job, &["running"]).await;
    assert_eq!(verb(&server, &job, "pause").await.0, 202);
    server.when_state(&job, &["paused"]).await;
    assert_eq!(verb(&server, &job, "pause").await.0, 200);
    assert_eq!(verb(&server, &job, "stop").await.0, 409);
    assert_eq!(server.delete(&path).await.0, 409);
    assert_eq!(server.delete(&format!("/datasets/{dataset}")).await.0, 409);
    assert_eq!(verb(&server, &job, "resume").await.0, 200);
    server.when_state(&job, &["running"]).await;
    assert_eq!(verb(&server, &job, "stop").await.0, 202);
    let done = server.when_state(&job, &["completed"]).await;
    assert_eq!(done["restarts"], 0, "{done}");
    assert_eq!(verb(&server, &job, "stop").await.0, 200);
    assert!(done["model_id"].is_string());
}

#[tokio::test]
async fn a_worker_that_ignores_a_cancel_is_killed_and_its_checkpoints_are_deleted() {
    let (folder, server, dataset) =
        server_of("say \"$started\"; touch $dir/checkpoints/last; trap '' TERM; sleep 1000").await;
    let job = server.job(&dataset, json!({})).await;
    let dir = folder.path().join("jobs").join(&job);
    server.when(&format!("/jobs/{job}"), |_| dir.join("checkpoints/last").exists()).await;
    assert_eq!(verb(&server, &job, "cancel").await.0, 202);
    server.when_state(&job, &["cancelled"]).await;
    server.when(&format!("/jobs/{job}"), |_| !dir.join("checkpoints").exists()).await;
}

#[tokio::test]
async fn a_deletion_that_a_crash_interrupted_is_completed_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let dataset = server.dataset().await;
    server.shut_down().await;
    let nobody = "01970000-0000-7000-8000-000000000000";
    let left: Vec<_> = ["jobs", "datasets", "models"]
        .iter()
        .flat_map(|kind| {
            [nobody.to_owned(), format!("{nobody}.deleted")]
                .map(|name| folder.path().join(kind).join(name))
        })
        .collect();
    for path in &left {
        std::fs::create_dir_all(path.join("some")).unwrap();
    }
    let other = folder.path().join("jobs/notes");
    std::fs::create_dir(&other).unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    assert!(left.iter().all(|path| !path.exists()));
    assert!(other.exists(), "a folder that is not the server's is left alone");
    assert_eq!(server.get(&format!("/datasets/{dataset}")).await.1["status"], "ready");
    assert!(folder.path().join("datasets").join(&dataset).exists());
}

#[tokio::test]
async fn a_device_runs_one_job_at_a_time_in_order() {
    let (_folder, server, dataset) =
        server_of("say \"$started\"; until_wanted stop; finished stopped").await;
    let first = server.job(&dataset, json!({})).await;
    let second = server.job(&dataset, json!({})).await;
    server.when_state(&first, &["running"]).await;
    assert_eq!(server.get(&format!("/jobs/{second}")).await.1["state"], "queued");
    verb(&server, &first, "stop").await;
    server.when_state(&second, &["running"]).await;
    assert_eq!(server.get(&format!("/jobs/{first}")).await.1["state"], "completed");
    verb(&server, &second, "stop").await;
    server.when_state(&second, &["completed"]).await;
}

#[tokio::test]
async fn a_worker_keeps_running_without_a_server_and_the_next_server_finds_it() {
    let worker = format!(
        "{WORDS}say \"$started\"; echo run >> $dir/runs; until_wanted stop; finished stopped"
    );
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script(&worker)).await;
    let dataset = server.dataset().await;
    let job = server.job(&dataset, json!({})).await;
    server.when(&format!("/jobs/{job}"), |job| job["progress"].is_object()).await;
    server.shut_down().await;

    let server = Server::start(folder.path(), script(&worker)).await;
    assert_eq!(server.get(&format!("/jobs/{job}")).await.1["state"], "running");
    verb(&server, &job, "stop").await;
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!((&done["state"], &done["restarts"]), (&json!("completed"), &json!(0)), "{done}");
    let runs = std::fs::read_to_string(folder.path().join("jobs").join(&job).join("runs")).unwrap();
    assert_eq!(runs.lines().count(), 1, "no second worker was started");
}

#[tokio::test]
async fn a_job_that_ends_while_no_server_runs_is_completed_by_the_next_one() {
    let worker = format!("{WORDS}say \"$started\"; until_wanted stop; finished completed");
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script(&worker)).await;
    let dataset = server.dataset().await;
    let job = server.job(&dataset, json!({})).await;
    server.when(&format!("/jobs/{job}"), |job| job["progress"].is_object()).await;
    server.shut_down().await;
    let dir = folder.path().join("jobs").join(&job);
    std::fs::write(dir.join("control.json"), "{\"command\":\"stop\"}").unwrap();
    for _ in 0..1000 {
        if std::fs::read_to_string(dir.join("events.jsonl")).unwrap().contains("finished") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }

    let server = Server::start(folder.path(), script(&worker)).await;
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!((&done["state"], &done["restarts"]), (&json!("completed"), &json!(0)), "{done}");
}
