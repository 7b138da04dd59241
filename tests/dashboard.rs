//! The dashboard's types match what the server sends.

use std::path::Path;
use std::process::Command;

#[test]
fn the_dashboards_schema_is_the_servers() {
    let output = Command::new(env!("CARGO_BIN_EXE_blazetune")).arg("schema").output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("web/src/api/schema.json");
    let schema = std::fs::read_to_string(file).unwrap();
    assert!(
        schema == String::from_utf8(output.stdout).unwrap(),
        "web/src/api/schema.json is out of date: run `blazetune schema > web/src/api/schema.json` and \
        `npm --prefix web run types`"
    );
}
