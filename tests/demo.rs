//! `blazetune demo`, as the README's first command runs it, but smaller.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn demo(data: &Path) -> Output {
    Command::new(env!("CARGO_BIN_EXE_blazetune"))
        .args(["demo", "--exit", "--listen", "127.0.0.1:0", "--images", "40", "--epochs", "2"])
        .args([Path::new("--data"), data])
        .output()
        .expect("blazetune was built")
}

#[test]
fn the_demo_reports_what_fine_tuning_changed_and_can_be_rerun() {
    let data = tempfile::tempdir().unwrap();
    for run in ["first", "second"] {
        let output = demo(data.path());
        let text = String::from_utf8_lossy(&output.stdout);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{run} run: {text}\n{errors}");
        for line in [
            "  base model ",
            "  epoch 1 ",
            "  epoch 2 ",
            "  average precision",
            "http://127.0.0.1:",
        ] {
            assert!(text.contains(line), "{run} run: no line with {line:?} in\n{text}");
        }
        for file in ["best.pth", "best.safetensors", "best.tflite", "card.json"] {
            let path = data.path().join("demo").join(file);
            assert!(
                text.contains(path.to_str().unwrap()),
                "{run} run: {file} is not named in\n{text}"
            );
            assert!(fs::metadata(&path).unwrap().len() > 0);
        }
    }
}

#[test]
fn an_address_in_use_is_named_with_the_option_that_changes_it() {
    let data = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_blazetune"))
        .args(["demo", "--exit", "--listen", &address])
        .args([Path::new("--data"), data.path()])
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(errors.contains(&address) && errors.contains("--listen"), "{errors}");
}
