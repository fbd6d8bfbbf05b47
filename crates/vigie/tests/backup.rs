//! `backup` and `restore` as an operator meets them: what comes back, and what is refused.

use crate::{text, vigie};
use std::path::Path;

fn run(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = vigie(folder, &[], arguments);
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

/// A folder with an installation in `vigie-data` and its backup in `backup`.
fn with_backup() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let done = |arguments: &[&str]| {
        let (code, said) = run(folder.path(), arguments);
        assert_eq!(code, 0, "{arguments:?}: {said}");
        said
    };
    done(&["createuser", "--email", "ann@example.com", "--no-password"]);
    done(&["queues", "send", "debug.echo", "--delay", "1000", "--args", "[1]"]);
    let said = done(&["backup", "backup"]);
    assert!(said.contains("not in it: vigie.toml and secrets"), "{said}");
    folder
}

#[test]
fn a_backup_comes_back_elsewhere_with_its_people_and_what_waits() {
    let folder = with_backup();
    let at = |arguments: &[&str]| run(folder.path(), &[&["--data-dir", "new"], arguments].concat());
    let (code, said) = at(&["restore", "backup", "--dry-run"]);
    assert_eq!(code, 0, "{said}");
    assert!(!folder.path().join("new").exists(), "a dry run makes nothing");
    let (code, said) = at(&["restore", "backup"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(at(&["check"]).0, 0);
    assert!(at(&["users", "list"]).1.contains("ann@example.com"));
    let queues: serde_json::Value = serde_json::from_str(&at(&["queues", "list", "--json"]).1).expect("JSON");
    let debug = queues.as_array().expect("rows").iter().find(|row| row["queue"] == "debug").expect("its row");
    assert_eq!(debug["delayed"], 1);
}

#[test]
fn only_an_empty_folder_is_written_to() {
    let folder = with_backup();
    for (arguments, expected) in [
        (["backup", "backup"], "backup is not empty (it holds"),
        (["backup", "vigie-data/backup"], "is in the data directory"),
        (["backup", "vigie-data/../vigie-data/a/b"], "is in the data directory"),
        (["restore", "backup"], "is not empty (it holds"),
        (["restore", "nowhere"], "holds no backup"),
        (["restore", "vigie-data"], "holds no backup"),
    ] {
        let (code, said) = run(folder.path(), &arguments);
        assert!(code == 1 && said.contains(expected), "{arguments:?}: {code}: {said}");
    }
    let (code, said) = run(folder.path(), &["--data-dir", "empty", "backup", "other"]);
    assert!(code == 1 && said.contains("there is no store in empty"), "{code}: {said}");
    assert!(!folder.path().join("empty").exists() && !folder.path().join("other").exists(), "nothing was made");
}

#[test]
fn a_data_directory_with_half_a_restore_is_no_store() {
    let folder = with_backup();
    let data_dir = folder.path().join("half");
    std::fs::create_dir(&data_dir).expect("made");
    for name in ["metadata.sqlite", "restore.unfinished"] {
        std::fs::write(data_dir.join(name), b"").expect("written");
    }
    for arguments in [&["check"][..], &["run", "worker"], &["upgrade"], &["users", "list"]] {
        let (code, said) = run(folder.path(), &[&["--data-dir", "half"], arguments].concat());
        assert!(code == 1 && said.contains("a restore into half was begun"), "{arguments:?}: {code}: {said}");
    }
}

#[test]
fn a_backup_beside_another_is_refused() {
    let folder = with_backup();
    let lock = std::fs::File::create(folder.path().join("vigie-data/backup.lock")).expect("made");
    lock.lock().expect("locked");
    let (code, said) = run(folder.path(), &["backup", "second"]);
    assert!(code == 1 && said.contains("another backup of"), "{code}: {said}");
}

#[test]
fn the_folder_of_a_backup_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt;
    let folder = with_backup();
    let mode = |name: &str| folder.path().join(name).metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode("backup"), 0o700);
    // One that was made before, for all to look into.
    let there = folder.path().join("there");
    std::fs::create_dir(&there).expect("made");
    std::fs::set_permissions(&there, std::fs::Permissions::from_mode(0o755)).expect("opened to all");
    let (code, said) = run(folder.path(), &["backup", "there"]);
    assert_eq!(code, 0, "{said}");
    assert_eq!(mode("there"), 0o700);
}
