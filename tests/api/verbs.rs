//! The verbs that a job lists are exactly those that the server accepts.

use serde_json::{Value, json};

use crate::life::{WORDS, verb};
use crate::support::{Server, config, id, script};

const VERBS: [&str; 5] = ["front", "pause", "resume", "stop", "cancel"];

/// Runs until `$dir/end` says how to end, or the test is over.
const WORKER: &str = r#"say "$started"
until [ -e "$dir/end" ]; do [ -e "$dir" ] || exit; sleep 0.01; done
. "$dir/end""#;

struct Place {
    folder: tempfile::TempDir,
    server: Server,
    dataset: String,
}

impl Place {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut config = config();
        config.jobs.max_restarts = 0;
        config.jobs.cancel_grace_s = 600;
        config.devices.slots.insert("cpu".to_owned(), 64);
        let worker = script(&format!("{WORDS}{WORKER}"));
        let server = Server::start_with(folder.path(), worker, config).await;
        let dataset = server.dataset().await;
        Self { folder, server, dataset }
    }

    /// Creates a job in a given state, the first word of `situation`; any further words describe the job.
    async fn job(&self, situation: &str) -> String {
        let (state, rest) = situation.split_once(' ').unwrap_or((situation, ""));
        let mut body = match rest {
            "evaluation" => json!({"kind": "evaluate", "model_id": "base"}),
            _ => json!({"kind": "train"}),
        };
        body["dataset_id"] = json!(self.dataset);
        if ["queued", "paused"].contains(&state) {
            body["not_before"] = json!("2999-01-01T00:00:00Z");
        }
        let (status, job) = self.server.post("/jobs", &body).await;
        assert_eq!(status, 201, "{job}");
        let job = id(&job);
        let dir = self.folder.path().join("jobs").join(&job);
        if !["queued", "paused"].contains(&state) {
            let began = dir.join("events.jsonl");
            let has_begun = |job: &Value| job["state"] == "running" && began.exists();
            self.server.when(&format!("/jobs/{job}"), has_begun).await;
        }
        if rest.contains("checkpoint") {
            std::fs::create_dir_all(dir.join("checkpoints")).unwrap();
            std::fs::write(dir.join("checkpoints/last.safetensors"), "").unwrap();
        }
        let verb_before = match state {
            "pausing" | "paused" => Some("pause"),
            "stopping" => Some("stop"),
            "cancelling" | "cancelled" => Some("cancel"),
            _ => None,
        };
        if let Some(name) = verb_before {
            verb(&self.server, &job, name).await;
        }
        let end = match state {
            "completed" => Some("finished completed"),
            "cancelled" => Some("finished cancelled"),
            "failed" if rest.contains("for good") => {
                Some("finished failed '\"why\"' '\"diverged\"'")
            }
            "failed" => Some("exit 3"),
            _ => None,
        };
        if let Some(end) = end {
            // Written atomically, because the worker polls it constantly.
            std::fs::write(dir.join("end.new"), end).unwrap();
            std::fs::rename(dir.join("end.new"), dir.join("end")).unwrap();
        }
        self.server.when_state(&job, &[state]).await;
        job
    }

    async fn history(&self, job: &str) -> Value {
        self.server.get(&format!("/jobs/{job}/transitions")).await.1
    }
}

fn names(view: &Value, verb: &str) -> bool {
    view["verbs"].as_array().unwrap().contains(&json!(verb))
}

#[tokio::test]
async fn a_job_lists_exactly_the_verbs_that_are_accepted_in_its_state() {
    let place = Place::new().await;
    let expected: &[(&str, &[&str])] = &[
        ("queued", &["front", "pause", "cancel"]),
        ("queued checkpoint", &["front", "pause", "stop", "cancel"]),
        ("running", &["pause", "stop", "cancel"]),
        ("running evaluation", &["pause", "cancel"]),
        ("pausing", &["resume", "stop", "cancel"]),
        ("pausing evaluation", &["resume", "cancel"]),
        ("paused", &["resume", "cancel"]),
        ("paused checkpoint", &["resume", "stop", "cancel"]),
        ("paused evaluation", &["resume", "cancel"]),
        ("stopping", &["cancel"]),
        ("cancelling", &[]),
        ("completed", &[]),
        ("cancelled", &[]),
        ("failed", &["resume"]),
        ("failed checkpoint", &["resume", "stop"]),
        ("failed for good", &[]),
        ("failed for good, checkpoint", &["stop"]),
    ];
    for (situation, verbs) in expected {
        let job = place.job(situation).await;
        let view = place.server.get(&format!("/jobs/{job}")).await.1;
        let named: Vec<_> = VERBS.into_iter().filter(|verb| names(&view, verb)).collect();
        assert_eq!(named, *verbs, "{situation}");
        let state = view["state"].as_str().unwrap();
        let is_final = ["completed", "cancelled", "failed"].contains(&state);
        assert_eq!(view["is_final"], is_final, "{situation}");
        assert_eq!(names(&view, "delete"), is_final, "{situation}");
        assert_eq!(names(&view, "extend"), state == "completed", "{situation}");

        let history = place.history(&job).await;
        for name in VERBS.iter().filter(|name| !verbs.contains(name)) {
            let (status, answer) = verb(&place.server, &job, name).await;
            // Repeating a verb is accepted, but changes nothing.
            assert!([409, 200, 202].contains(&status), "{name} when {situation}: {answer}");
            assert!(status == 409 || answer["state"] == state, "{name} when {situation}: {answer}");
            assert_eq!(place.history(&job).await, history, "{name} when {situation}");
        }
        for name in *verbs {
            let job = place.job(situation).await;
            let (status, answer) = verb(&place.server, &job, name).await;
            assert!([200, 202].contains(&status), "{name} when {situation}: {answer}");
            assert!(*name == "front" || answer["state"] != state, "{name} when {situation}");
        }
    }
}
