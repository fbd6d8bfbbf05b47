//! Storage roles: settings that disagree start nothing, a set that agrees is proved at every start.

use crate::running::{Running, START_MAX};
use crate::{text, vigie};

#[test]
fn check_07_roles_that_disagree_are_refused_with_the_fix() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("vigie.toml"), "[storage]\nsearch = \"clickhouse\"\n").expect("written");
    for arguments in [&["run"][..], &["run", "web"], &["run", "worker"], &["config", "check"]] {
        let refused = vigie(folder.path(), &[], arguments);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(78), "{said}");
        let fix = "vigie.toml:2: storage.search: reads from clickhouse, but database.url = sqlite: (default) is sqlite; \
                   fix: storage.search = \"sqlite\"";
        assert!(said.contains(fix), "{said}");
    }
    assert!(!folder.path().join("vigie-data").exists(), "nothing was started");
}

#[test]
fn check_07_an_engine_that_is_not_built_is_said_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let refused = vigie(folder.path(), &[("DATABASE_URL", "postgres://host/vigie")], &["run"]);
    assert_eq!(refused.status.code(), Some(78));
    let said = text(&refused.stderr);
    assert!(said.contains("environment DATABASE_URL: database.url: postgres: is not built yet"), "{said}");
}

#[test]
fn check_07_a_probe_record_is_found_at_every_start_and_leaves_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let arguments = ["run", "--listen", "127.0.0.1:0"];
    for _ in 0..2 {
        let mut running = Running::start(folder.path(), &[], &arguments);
        running.wait_for(&["started"], START_MAX);
        let mut said = String::new();
        running.wait_until(START_MAX, "answer to status", || {
            said = text(&vigie(folder.path(), &[], &["status", "--json"]).stdout);
            !said.is_empty()
        });
        assert!(said.contains("probe record found by bodies, search, tags, series"), "{said}");
        for step in ["logging", "migrations", "stores", "options", "services", "broker", "queue", "metrics"] {
            assert!(said.contains(&format!("\"name\":\"{step}\"")), "{step}: {said}");
        }
    }
    let checked = vigie(folder.path(), &[], &["check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stdout));
    let organizations = vigie(folder.path(), &[], &["projects", "list", "--json"]);
    assert!(!text(&organizations.stdout).contains("probe"));
}
