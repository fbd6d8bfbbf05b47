//! Options that are changed while Vigie runs: by command, by SIGHUP, and refused where a file says otherwise.

use crate::running::{Running, START_MAX};
use crate::{text, vigie};
use std::time::Duration;

/// How soon every process has seen a change.
const SEEN_WITHIN: Duration = Duration::from_secs(5);

#[test]
fn an_option_set_by_command_is_seen_by_every_process_within_5_s() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut web = Running::start(folder.path(), &[], &["run", "web", "--listen", "127.0.0.1:0"]);
    web.wait_for(&["started", "role=\"web\""], START_MAX);
    let mut worker = Running::start(folder.path(), &[], &["run", "worker"]);
    worker.wait_for(&["started", "role=\"worker\""], START_MAX);
    let set = vigie(folder.path(), &[], &["config", "set", "log.level", "info,store=debug"]);
    assert_eq!(set.status.code(), Some(0), "{}", text(&set.stderr));
    let changed = ["configuration changed", "log.level", "set by system:cli (cli)"];
    web.wait_for(&changed, SEEN_WITHIN);
    worker.wait_for(&changed, SEEN_WITHIN);
    let explained = text(&vigie(folder.path(), &[], &["config", "explain", "log.level"]).stdout);
    assert!(explained.contains("log.level = info,store=debug"), "{explained}");
    assert!(explained.contains("from runtime option, set by system:cli (cli), in force"), "{explained}");
    assert_eq!(vigie(folder.path(), &[], &["config", "delete", "log.level"]).status.code(), Some(0));
    web.wait_for(&["configuration changed", "log.level", "source=\"default\""], SEEN_WITHIN);
    worker.wait_for(&["configuration changed", "log.level", "source=\"default\""], SEEN_WITHIN);
}

#[test]
fn a_file_is_read_anew_on_sighup_and_a_wrong_one_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vigie.toml");
    std::fs::write(&path, "[web]\nlisten = \"127.0.0.1:0\"\n").expect("written");
    let mut running = Running::start(folder.path(), &[], &["run"]);
    running.wait_for(&["started"], START_MAX);
    let more = "[web]\nlisten = \"127.0.0.1:0\"\ntrusted-proxies = [\"10.0.0.0/8\"]\n[worker]\nconcurrency = 3\n";
    std::fs::write(&path, more).expect("written");
    running.signal("HUP");
    running.wait_for(&["configuration changed key=", "web.trusted-proxies"], SEEN_WITHIN);
    running.wait_for(&["it takes effect after a restart", "worker.concurrency"], SEEN_WITHIN);
    running.wait_for(&["configuration read anew"], SEEN_WITHIN);
    std::fs::write(&path, "[web]\nlisten = 5\n").expect("written");
    running.signal("HUP");
    running.wait_for(&["configuration not read anew", "vigie.toml:2"], SEEN_WITHIN);
}

#[test]
fn check_17_an_option_on_disk_is_not_set_in_the_store() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(vigie(folder.path(), &[], &["config", "set", "log.level", "debug"]).status.code(), Some(1), "no store");
    assert!(!folder.path().join("vigie-data").exists(), "and none was made");
    assert_eq!(vigie(folder.path(), &[], &["upgrade"]).status.code(), Some(0));
    std::fs::write(folder.path().join("vigie.toml"), "[queue]\nmax-jobs = 7\n").expect("written");
    let refused = |arguments: &[&str], words: &str| {
        let said = vigie(folder.path(), &[], arguments);
        let stderr = text(&said.stderr);
        assert!(said.status.code() != Some(0) && stderr.contains(words), "{arguments:?}: {stderr}");
    };
    refused(&["config", "set", "queue.max-jobs", "9"], "queue.max-jobs is set by vigie.toml:2");
    refused(&["config", "set", "web.listen", "127.0.0.1:1"], "web.listen cannot be changed at run time");
    refused(&["config", "set", "disk.min-free", "much"], "disk.min-free: 'much' is not a size");
    refused(&["config", "set", "disk.min-fre", "1GB"], "did you mean disk.min-free?");
    assert_eq!(vigie(folder.path(), &[], &["config", "get", "queue.max-jobs"]).stdout, b"7\n");
    assert_eq!(vigie(folder.path(), &[], &["config", "set", "disk.min-free", "2GB"]).status.code(), Some(0));
    assert_eq!(vigie(folder.path(), &[], &["config", "get", "disk.min-free"]).stdout, b"2GB\n");
}
