//! Disks that are full or read-only: the server's data folder is a small tmpfs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::json;

use crate::common::can_mount;
use crate::process::{Program, assert_whole, configure, worker_of};
use crate::support::drawn;

/// Starts a server in a separate mount namespace, with a tmpfs of `megabytes` as its data folder. Returns the server
/// and the path by which the test reaches that folder, or `None` if this user cannot mount one.
fn on_small_disk(data: &Path, megabytes: u32) -> Option<(Program, PathBuf)> {
    if !can_mount() {
        return None;
    }
    let script = format!(
        "mount -t tmpfs -o size={megabytes}m tmpfs {data} && cd {data} && exec {program} \"$@\"",
        data = data.display(),
        program = env!("CARGO_BIN_EXE_blazetune")
    );
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", &script, "sh"]);
    configure(&mut command, data);
    command.env("BLAZETUNE__JOBS__CHECKPOINT_EVERY_STEPS", "1");
    command.env("BLAZETUNE__STORAGE__RESERVE_BYTES", "8000000");
    let server = Program::spawn(&mut command);
    let inside = PathBuf::from(format!("/proc/{}/root", server.child.id()));
    let inside = inside.join(data.strip_prefix("/").unwrap());
    Some((server, inside))
}

/// Writes until the disk is full.
fn fill(path: &Path) {
    let mut file = std::fs::File::options().create(true).append(true).open(path).unwrap();
    for size in [1 << 16, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

#[tokio::test]
async fn a_job_on_a_full_disk_waits_and_continues_once_there_is_space() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().canonicalize().unwrap();
    let Some((server, inside)) = on_small_disk(&data_dir, 100) else { return };
    let job = server.start_job(300).await;
    server.when(&job, |job| job["best"].is_object()).await;
    let (ballast, spare) = (inside.join("ballast"), inside.join("spare"));
    let is_held = |job: &serde_json::Value| {
        // Also fills the space that a deleted old checkpoint frees, but leaves the server 512 KiB to record the pause.
        if worker_of(&data_dir).is_some() && spare.exists() {
            fill(&ballast);
            let file = std::fs::File::options().write(true).open(&ballast).unwrap();
            file.set_len(file.metadata().unwrap().len().saturating_sub(512 << 10)).unwrap();
        }
        job["state"] == "paused"
    };
    let held = server.when(&job, is_held).await;
    assert_eq!((&held["hold"], &held["restarts"]), (&json!("disk_full"), &json!(0)), "{held}");
    let metrics = server.get(&format!("{job}/metrics")).await;
    assert!(metrics["items"].as_array().unwrap().len() > 1, "the metrics can still be read");
    std::fs::remove_file(inside.join("ballast")).unwrap();
    let epoch = held["progress"]["epoch"].as_u64().unwrap();
    let job_path = job.as_str();
    server.when(job_path, |job| job["progress"]["epoch"].as_u64() > Some(epoch + 1)).await;
    server.post(&format!("{job}/stop"), &json!({})).await;
    let done = server.when(&job, |job| job["state"] == "completed").await;
    assert_whole(&server, &job, done["progress"]["epoch"].as_u64().unwrap()).await;
    let left = std::fs::read_dir(inside.join(job.trim_start_matches('/')).join("checkpoints"));
    let left: Vec<_> = left.unwrap().map(|file| file.unwrap().file_name()).collect();
    assert!(left.len() <= 2, "half-written files are left: {left:?}");
}

/// Runs a command in the server's mount namespace.
fn beside(server: &Program, command: &[&str]) {
    let mut nsenter = Command::new("nsenter");
    nsenter.args(["--preserve-credentials", "-U", "-m", "-t", &server.child.id().to_string()]);
    assert!(nsenter.args(command).status().unwrap().success(), "{command:?}");
}

#[tokio::test]
async fn a_job_whose_folder_becomes_read_only_waits_until_the_user_resumes_it() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().canonicalize().unwrap();
    let Some((server, _inside)) = on_small_disk(&data_dir, 100) else { return };
    let job = server.start_job(300).await;
    server.when(&job, |job| job["best"].is_object()).await;
    let folder = data_dir.join(job.trim_start_matches('/'));
    let folder = folder.to_str().unwrap();
    beside(&server, &["mount", "--bind", folder, folder]);
    beside(&server, &["mount", "-o", "remount,bind,ro", folder]);
    let held = server.when(&job, |job| job["state"] == "paused").await;
    assert_eq!((&held["hold"], &held["restarts"]), (&json!("disk_error"), &json!(0)), "{held}");
    let error = held["error"].as_str().unwrap();
    assert!(error.contains("Read-only file system"), "{error}");
    assert_eq!(worker_of(&data_dir), None);

    beside(&server, &["umount", folder]);
    server.post(&format!("{job}/resume"), &json!({})).await;
    let epoch = held["progress"]["epoch"].as_u64().unwrap();
    server.when(&job, |job| job["progress"]["epoch"].as_u64() > Some(epoch + 1)).await;
    server.post(&format!("{job}/stop"), &json!({})).await;
    let done = server.when(&job, |job| job["state"] == "completed").await;
    assert_whole(&server, &job, done["progress"]["epoch"].as_u64().unwrap()).await;
}

#[tokio::test]
async fn an_upload_or_import_without_enough_space_says_so_and_leaves_nothing_behind() {
    let data = tempfile::tempdir().unwrap();
    let data_dir = data.path().canonicalize().unwrap();
    let Some((server, inside)) = on_small_disk(&data_dir, 48) else { return };
    // 2 MB of pictures, which become 16 MB when imported.
    let archive = drawn(64);
    let upload = async || {
        let upload = server.client.post(format!("{}/datasets", server.base));
        let upload = upload.header("content-type", "application/zip").body(archive.clone());
        upload.send().await.unwrap().json::<serde_json::Value>().await.unwrap()
    };
    // Of the 48 MB, the reserve takes 8, the ballast 29 and the database 2 to 6: about 7 are left.
    std::fs::write(inside.join("ballast"), vec![0; 29 << 20]).unwrap();
    let dataset = upload().await;
    let path = format!("/datasets/{}", dataset["id"].as_str().unwrap());
    let failed = server.when(&path, |dataset| dataset["status"] != "importing").await;
    let error = failed["error"].as_str().unwrap();
    assert!(error.contains("the data set needs") && error.contains("upload"), "{error}");
    fill(&inside.join("ballast"));
    let problem = upload().await;
    assert_eq!(problem["status"], 507, "{problem}");
    for folder in ["uploads", "datasets"] {
        let left: Vec<_> = std::fs::read_dir(inside.join(folder)).unwrap().collect();
        assert!(left.is_empty(), "{folder}: {left:?}");
    }
    std::fs::remove_file(inside.join("ballast")).unwrap();
    let dataset = upload().await;
    let path = format!("/datasets/{}", dataset["id"].as_str().unwrap());
    let ready = server.when(&path, |dataset| dataset["status"] != "importing").await;
    assert_eq!(ready["status"], "ready", "{ready}");
}
