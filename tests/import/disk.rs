//! A disk that becomes full during an import: a small tmpfs in a separate mount namespace.

use std::fs;
use std::io::Write;
use std::ops::ControlFlow;
use std::path::Path;
use std::process::Command;

use blazetune::data::import::import;
use blazetune::data::options::{ImportError, ImportOptions};

use crate::common::can_mount;
use crate::support::{ordinary, zip};

const SMALL_DISK: &str = "BLAZETUNE_SMALL_DISK";
const NAME: &str = "disk::an_import_that_runs_out_of_space_says_so_and_leaves_nothing_behind";

/// Runs this test again with a disk of eight megabytes mounted at `folder`.
fn run_on_small_disk(folder: &Path) {
    if !can_mount() {
        return;
    }
    let script = "mount -t tmpfs -o size=8m small \"$1\" && exec \"$2\" --exact \"$3\" --nocapture";
    let mut command = Command::new("unshare");
    command.args(["-rm", "sh", "-c", script, "sh"]).arg(folder);
    command.arg(std::env::current_exe().unwrap()).arg(NAME).env(SMALL_DISK, folder);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
}

#[test]
fn an_import_that_runs_out_of_space_says_so_and_leaves_nothing_behind() {
    let Some(disk) = std::env::var_os(SMALL_DISK) else {
        run_on_small_disk(tempfile::tempdir().unwrap().path());
        return;
    };
    let disk = Path::new(&disk);
    let (archive, dir) = (disk.join("upload"), disk.join("set"));
    fs::write(&archive, zip(&ordinary())).unwrap();
    let options = ImportOptions { threads: 1, ..ImportOptions::default() };
    let fill = |progress: blazetune::data::options::ImportProgress| {
        if progress.done == 1 {
            let mut ballast = fs::File::create(disk.join("ballast")).unwrap();
            while ballast.write_all(&[0; 4096]).is_ok() {}
        }
        ControlFlow::Continue(())
    };
    let error = import(&archive, &dir, &options, &fill).unwrap_err();
    assert!(matches!(error, ImportError::DiskFull), "{error:?}");
    assert!(error.to_string().contains("disk is full; none of the data set was kept"));
    let mut left: Vec<_> =
        fs::read_dir(disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["ballast", "upload"]);
    fs::remove_file(disk.join("ballast")).unwrap();
    import(&archive, &dir, &options, &|_| ControlFlow::Continue(())).unwrap();
}
