//! No two public types share a name: one name means one thing.

use std::collections::BTreeMap;
use std::path::Path;

use walkdir::WalkDir;

/// Modules whose types are never used beside others: each subcommand's arguments, and the demo's view of the API.
const APART: &[&str] = &["cli/"];

#[test]
fn no_two_public_types_have_the_same_name() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in WalkDir::new(&src) {
        let entry = entry.unwrap();
        let name = entry.path().strip_prefix(&src).unwrap().display().to_string();
        if entry.path().extension().is_none_or(|ending| ending != "rs")
            || APART.iter().any(|apart| name.starts_with(apart))
        {
            continue;
        }
        let text = std::fs::read_to_string(entry.path()).unwrap();
        for line in text.lines() {
            if let Some(name_of_type) = public_type(line) {
                files.entry(name_of_type.to_owned()).or_default().push(name.clone());
            }
        }
    }
    assert!(files.len() > 100, "only {} types were found", files.len());
    files.retain(|_, files| files.len() > 1);
    assert!(files.is_empty(), "{files:#?}");
}

#[test]
fn a_public_type_is_recognised_whatever_its_visibility() {
    assert_eq!(public_type("pub struct Job<'a> {"), Some("Job"));
    assert_eq!(public_type("    pub(super) enum State {"), Some("State"));
    assert_eq!(public_type("pub(in crate::http) trait Executor: Debug {"), Some("Executor"));
    assert_eq!(public_type("pub type Db = SqlitePool;"), Some("Db"));
    assert_eq!(public_type("struct Private;"), None);
    assert_eq!(public_type("pub type Result<T, E = Problem> = Result<T, E>;"), None);
}

/// The name of the type that a line declares; `Result` names are shared on purpose.
fn public_type(line: &str) -> Option<&str> {
    let rest = line.trim_start().strip_prefix("pub")?;
    let rest = match rest.strip_prefix('(') {
        Some(scope) => scope.split_once(')')?.1,
        None => rest,
    };
    let (kind, rest) = rest.trim_start().split_once(' ')?;
    let is_type = ["struct", "enum", "trait", "type"].contains(&kind);
    let name = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next()?;
    (is_type && name != "Result").then_some(name)
}
