//! Options that are changed while Vigie runs: by command, by SIGHUP, and refused where a file says otherwise.

use crate::running::{Running, START_MAX, http};
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

#[test]
fn check_17_the_first_run_asks_nothing_and_shows_what_the_file_says_read_only() {
    let folder = tempfile::tempdir().expect("a folder");
    // All that an installer could ask for, and one that is a runtime option besides.
    let file = "[system]\nurl-prefix = \"http://errors.example\"\n[queue]\nmax-jobs = 7000\n";
    std::fs::write(folder.path().join("vigie.toml"), file).expect("written");
    // The greeting names the public address, so the port is chosen here.
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address");
    let address = free.to_string();
    let variables = [("VIGIE_WEB__LISTEN", address.as_str())];
    let mut running = Running::start(folder.path(), &variables, &["run"]);
    let login = running.wait_for(&["log in as", "with password"], START_MAX);
    let mut words = login.split_whitespace().skip_while(|word| *word != "as").skip(1);
    let (email, password) = (words.next().expect("an email"), login.split_whitespace().last().expect("a password"));
    running.wait_for(&["started"], START_MAX);
    let form = format!("email={}&password={password}", email.replace('@', "%40"));
    let (origin, kind) = ("http://errors.example", "application/x-www-form-urlencoded");
    let answer = http(&address, "POST", "/auth/login/", &[("Origin", origin), ("Content-Type", kind)], &form);
    let cookie = answer.lines().find_map(|line| line.strip_prefix("set-cookie: ")).expect("logged in");
    let cookie = cookie.split(';').next().unwrap_or_default();
    let page = http(&address, "GET", "/system/config/", &[("Cookie", cookie)], "");
    let row = |key: &str| {
        let start = page.find(&format!("<b>{key}</b>")).unwrap_or_else(|| panic!("{key} is not in {page}"));
        page[start..].split("</tr>").next().unwrap_or_default()
    };
    for (key, value, place) in
        [("queue.max-jobs", "7000", "vigie.toml:4"), ("system.url-prefix", "http://errors.example", "vigie.toml:2")]
    {
        let row = row(key);
        assert!(row.contains(value) && row.contains(place) && !row.contains("<form"), "{key} is read-only: {row}");
    }
    assert!(row("disk.min-free").contains("<form"), "what no file says can be set");
}
