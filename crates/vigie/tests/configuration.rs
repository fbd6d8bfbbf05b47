//! The configuration as a person meets it: `init`, `config …` and refused starts, on the built binary.

use crate::{text, vigie};

const TEN_MISTAKES: &str = r#"[system]
url-prefix = "errors.example.org"
data-dir = 5
[web]
lisen = "127.0.0.1:9000"
listen = "localhost"
trusted-proxies = ["10.0.0.0/8", "lb.example"]
[worker]
concurrency = 1000
shutdown-grace = "30 parsecs"
pool = ["threads"]
remote-control = "maybe"
[queue]
max-bytes = "much"
durability = 
[database]
url = "postgres://db/vigie"
"#;

#[test]
fn check_05_ten_mistakes_are_named_in_one_run_with_their_lines() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("vigie.toml");
    std::fs::write(&path, TEN_MISTAKES).expect("written");
    let checked = vigie(folder.path(), &[], &["config", "check"]);
    assert_eq!(checked.status.code(), Some(78));
    let said = text(&checked.stderr);
    let expected = [
        (2, "system.url-prefix: 'errors.example.org' does not begin with http:// or https://"),
        (3, "system.data-dir: expected text in quotes, found an integer"),
        (5, "unknown key web.lisen; did you mean web.listen?"),
        (6, "web.listen: 'localhost' is not an address"),
        (7, "web.trusted-proxies: 'lb.example' is no address and no network"),
        (9, "worker.concurrency: '1000' is not a whole number from 0 to 256"),
        (10, "worker.shutdown-grace: '30 parsecs' is not a duration"),
        (11, "worker.pool: expected one value, found a list"),
        (12, "worker.remote-control: 'maybe' is neither on nor off"),
        (14, "queue.max-bytes: 'much' is not a size"),
        (15, ""),
        (17, "database.url: postgres: is not built yet"),
    ];
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), expected.len(), "{said}");
    for (line, (number, words)) in lines.iter().zip(expected) {
        assert!(line.starts_with(&format!("vigie: vigie.toml:{number}: {words}")), "{line}");
    }
    let run = vigie(folder.path(), &[], &["run"]);
    assert_eq!(run.status.code(), Some(78), "a wrong configuration starts nothing");
    assert!(!folder.path().join("vigie-data").exists());
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let folder = tempfile::tempdir().expect("a folder");
    for (variables, arguments) in [
        (&[][..], &["config", "check", "--config", "missing.toml"][..]),
        (&[("VIGIE_CONF", "missing.toml")][..], &["config", "check"][..]),
        (&[("SENTRY_CONF", "missing.toml")][..], &["config", "check"][..]),
    ] {
        let checked = vigie(folder.path(), variables, arguments);
        assert_eq!(checked.status.code(), Some(78));
        assert!(text(&checked.stderr).contains("missing.toml: read the file"), "{}", text(&checked.stderr));
    }
    let checked = vigie(folder.path(), &[], &["config", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[test]
fn explain_names_every_source_in_order_and_no_secret() {
    let folder = tempfile::tempdir().expect("a folder");
    let conf = folder.path().join("conf");
    std::fs::create_dir(&conf).expect("a folder");
    std::fs::write(conf.join("vigie.toml"), "[broker]\nurl = \"redis://:hidden@file:6379\"\n").expect("written");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "redis://:hidden@variable:6379\n").expect("written");
    let variables = [
        ("VIGIE_CONF", "conf"),
        ("BROKER_URL", "redis://:hidden@foreign:6379"),
        ("VIGIE_BROKER__URL_FILE", "secret"),
        ("VIGIE_SYSTEM__SECRET_KEY", "hidden"),
    ];
    let explained = vigie(folder.path(), &variables, &["config", "explain", "broker.url"]);
    let said = text(&explained.stdout);
    let places =
        ["environment VIGIE_BROKER__URL_FILE, in force", "environment BROKER_URL", "conf/vigie.toml:2", "default"];
    let at: Vec<Option<usize>> = places.iter().map(|place| said.find(place)).collect();
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{said}");
    for arguments in [&["config", "list"][..], &["config", "get", "system.secret-key"], &["config", "list", "--json"]] {
        let listed = text(&vigie(folder.path(), &variables, arguments).stdout);
        assert!(!listed.contains("hidden"), "{listed}");
    }
    assert!(!said.contains("hidden"), "{said}");
    let unknown = vigie(folder.path(), &[], &["config", "explain", "broker.ulr"]);
    assert_eq!(unknown.status.code(), Some(2));
    assert!(text(&unknown.stderr).contains("did you mean broker.url?"));
}

#[test]
fn init_writes_a_file_that_is_fine_and_keeps_one_that_is_there() {
    let folder = tempfile::tempdir().expect("a folder");
    let written = vigie(folder.path(), &[], &["init", "conf"]);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
    let path = folder.path().join("conf/vigie.toml");
    let first = std::fs::read_to_string(&path).expect("it is written");
    let checked = vigie(folder.path(), &[("VIGIE_CONF", "conf")], &["config", "check"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
    assert_eq!(vigie(folder.path(), &[], &["init", "conf", "--no-clobber"]).status.code(), Some(0));
    assert_eq!(vigie(folder.path(), &[], &["init", "conf"]).status.code(), Some(1), "there is nobody to ask");
    assert_eq!(std::fs::read_to_string(&path).expect("it is there"), first);
    let mode = std::os::unix::fs::PermissionsExt::mode(&path.metadata().expect("it is there").permissions());
    assert_eq!(mode & 0o777, 0o600, "it holds a secret");
    assert_eq!(vigie(folder.path(), &[], &["init", "other"]).status.code(), Some(0));
    assert_ne!(std::fs::read_to_string(folder.path().join("other/vigie.toml")).expect("written"), first);
}
