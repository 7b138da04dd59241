//! Clocks that jump, and a database that another process locks.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};

use crate::life::{WORDS, server_of, verb};
use crate::support::{Server, config, script};

async fn database(folder: &Path) -> SqliteConnection {
    let options = SqliteConnectOptions::new().filename(folder.join("blazetune.sqlite"));
    let options = options.busy_timeout(Duration::from_secs(10));
    SqliteConnection::connect_with(&options).await.unwrap()
}

/// Makes the job look as if the wall clock had jumped by `hours` since it began.
async fn jump(folder: &Path, hours: i32) {
    let mut db = database(folder).await;
    let jump = "update job set active_since = strftime('%Y-%m-%dT%H:%M:%fZ', 'now', ? || ' hours') \
                where active_since is not null";
    let jumped = sqlx::query(jump).bind(-hours).execute(&mut db).await.unwrap();
    assert_eq!(jumped.rows_affected(), 1);
}

#[tokio::test]
async fn a_clock_jump_neither_uses_up_nor_extends_a_time_limit() {
    // The worker reports a step whenever the test asks for one.
    let (folder, server, dataset) = server_of(
        r#"say "$started"
        until wanted stop; do
            if [ -e "$dir/say" ]; then
                rm "$dir/say"; step=$((step + 1))
                say '{"seq":2,"at":"1970-01-01T00:00:00.000Z","type":"step","epoch":1,"epochs":2,"step":'$step',"steps":9,"lr":0.1,"images_per_s":1.0,"eta_s":1.0,"train":{"loss":1.0,"box":1.0,"positive":1.0,"background":1.0,"positives_per_face":1.0,"gradient_norm":1.0}}'
            fi
            sleep 0.01
        done
        finished stopped"#,
    )
    .await;
    let submit = async |limit: u32| {
        let body = json!({"kind": "train", "dataset_id": dataset, "time_limit_s": limit});
        let job = server.post("/jobs", &body).await.1["id"].as_str().unwrap().to_owned();
        server.when(&format!("/jobs/{job}"), |job| job["progress"].is_object()).await;
        job
    };
    let long = submit(600).await;
    jump(folder.path(), 2).await;
    for _ in 0..3 {
        // Once the server has read a new step, it has checked the job since the jump.
        std::fs::write(folder.path().join("jobs").join(&long).join("say"), "").unwrap();
        let step = |job: &Value| job["progress"]["step"].as_u64();
        let before = step(&server.get(&format!("/jobs/{long}")).await.1);
        server.when(&format!("/jobs/{long}"), |job| step(job) > before).await;
    }
    verb(&server, &long, "stop").await;
    let done = server.when_state(&long, &["completed"]).await;
    let history = server.get(&format!("/jobs/{long}/transitions")).await.1;
    assert!(!history.to_string().contains("time limit"), "{history}");
    assert!(done["ran_s"].as_f64().unwrap() < 600.0, "{done}");

    let short = submit(1).await;
    jump(folder.path(), -2).await;
    server.when_state(&short, &["completed"]).await;
    let history = server.get(&format!("/jobs/{short}/transitions")).await.1;
    assert!(history.to_string().contains("its time limit of 1 s has expired"), "{history}");
}

#[tokio::test]
async fn a_worker_whose_clock_jumps_is_replaced_only_when_its_heartbeat_stops() {
    let worker = format!(
        r#"{WORDS}say "$started"
        if [ -e "$dir/hung" ]; then finished completed; exit; fi
        for at in 2001 2031 2002 2030 2003 2029 2004 2028; do touch -d "$at-01-01" "$dir/heartbeat"; sleep 0.7; done
        touch "$dir/hung"; touch -d 2040-01-01 "$dir/heartbeat"; sleep 1000"#
    );
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.jobs.hang_timeout_s = 4;
    let server = Server::start_with(folder.path(), script(&worker), config).await;
    let dataset = server.dataset().await;
    let job = server.job(&dataset, json!({})).await;
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!((&done["state"], &done["restarts"]), (&json!("completed"), &json!(1)), "{done}");
    let history = server.get(&format!("/jobs/{job}/transitions")).await.1;
    let why = "started again: the worker gave no sign of life for 4 s";
    assert_eq!(history["items"][2]["reason"], why, "replaced only when it was silent");
    assert!(folder.path().join("jobs").join(&job).join("hung").exists());
}

#[tokio::test]
async fn metrics_are_listed_by_epoch_whatever_the_times_of_their_events() {
    let row = |seq: u32, epoch: u32, year: u32| {
        format!(
            r#"{{"seq":{seq},"at":"{year}-01-01T00:00:00.000Z","type":"epoch","epoch":{epoch},"step":{epoch},"time":"{year}-01-01T00:00:00.000Z","lr":0.1,"images_per_s":1.0,"seconds":1.0,"is_best":false,"train":null,"val":{}}}"#,
            json!(blazetune::protocol::metrics::ValMetrics::default())
        )
    };
    let (_folder, server, dataset) = server_of(&format!(
        "say \"$started\"; say '{}'; say '{}'; say '{}'; finished completed",
        row(2, 0, 2031),
        row(3, 1, 1999),
        row(4, 2, 2050)
    ))
    .await;
    let job = server.job(&dataset, json!({})).await;
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!(done["state"], "completed", "{done}");
    let metrics = server.get(&format!("/jobs/{job}/metrics")).await.1;
    let epochs: Vec<&Value> =
        metrics["items"].as_array().unwrap().iter().map(|row| &row["epoch"]).collect();
    assert_eq!(epochs, [0, 1, 2]);
}

#[tokio::test]
async fn a_database_locked_for_longer_than_a_statement_waits_costs_only_time() {
    let (folder, server, dataset) =
        server_of("say \"$started\"; until_wanted stop; finished stopped").await;
    let job = server.job(&dataset, json!({})).await;
    server.when(&format!("/jobs/{job}"), |job| job["progress"].is_object()).await;
    let mut other = database(folder.path()).await;
    sqlx::query("begin immediate").execute(&mut other).await.unwrap();
    let control = folder.path().join("jobs").join(&job).join("control.json");
    std::fs::write(control, r#"{"command": "stop"}"#).unwrap(); // The worker ends meanwhile.
    // Longer than a statement waits (10 s), so that storing the end fails at least once.
    tokio::time::sleep(Duration::from_secs(12)).await;
    let listed = server.get(&format!("/jobs/{job}")).await;
    assert_eq!((listed.0, &listed.1["state"]), (200, &json!("running")), "reads still work");
    other.close().await.unwrap();
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!((&done["state"], &done["restarts"]), (&json!("completed"), &json!(0)), "{done}");
    let history = server.get(&format!("/jobs/{job}/transitions")).await.1;
    assert_eq!(history["items"].as_array().unwrap().len(), 3, "{history}");
}
