//! Archives as people send them: a kit of faulty and odd ones, each with its expected result.

use std::process::Command;

use crate::common::{python, shared};
use crate::support::{Server, script};

#[tokio::test(flavor = "multi_thread")]
async fn every_archive_in_the_kit_gives_the_expected_result() {
    let (Some(kit), Some(python)) = (shared("cases"), python()) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (sample, cases) = (folder.path().join("sample.zip"), folder.path().join("cases"));
    let spec = blazetune::sample::SampleSpec { images: 24, seed: 7 };
    blazetune::sample::write(&sample, &spec, &mut |_| ()).unwrap();
    let mut make = Command::new(&python);
    make.arg(kit.join("make.py")).arg(&cases).arg("--sample").arg(&sample);
    assert!(make.status().unwrap().success(), "make.py failed");
    let server = Server::start(&folder.path().join("data"), script("exit 0")).await;
    let url = format!("http://{}", server.address);
    let check = kit.join("check.py");
    let checked = tokio::task::spawn_blocking(move || {
        Command::new(python).arg(check).arg(url).arg("--cases").arg(cases).output().unwrap()
    });
    let output = checked.await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let wrong: Vec<&str> = text.lines().filter(|line| !line.starts_with("ok ")).collect();
    assert!(output.status.success(), "{}", wrong.join("\n"));
    assert!(text.contains("56 ok, 0 wrong"), "{text}");
}
