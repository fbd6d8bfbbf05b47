//! People, permissions and projects from the command line: words, exit codes and what stands in the log. Checks 16 and
//! 18 of the seeds.

use crate::{text, vigie};
use serde_json::Value;
use std::path::Path;

/// Runs a command; returns its code and what it said on both outputs.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let output = vigie(folder, &[], arguments);
    (output.status.code().unwrap_or(-1), text(&output.stdout) + &text(&output.stderr))
}

fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = vigie(folder, &[], arguments);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{arguments:?}: {}", text(&output.stdout)))
}

fn with_people() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, said) = run(
        folder.path(),
        &["createuser", "--email", "root@example.com", "--email", "two@example.com", "--superuser", "--no-password"],
    );
    assert_eq!(
        (code, said.as_str()),
        (0, "user root@example.com (id 1, superuser)\nuser two@example.com (id 2, superuser)\n")
    );
    folder
}

#[test]
fn check_16_permissions_are_idempotent_and_each_wrong_use_has_its_words() {
    let folder = with_people();
    let of = |act: &'static str, user: &'static str, permission: &'static str| {
        run(folder.path(), &["permissions", act, "-u", user, "-p", permission])
    };
    let root = "root@example.com";
    for (said, expected) in [
        (of("remove", root, "queues.admin"), (0, "Removed permission `queues.admin` from `root@example.com`\n")),
        (of("remove", root, "queues.admin"), (0, "Permission does not exist for `root@example.com`\n")),
        (of("add", root, "queues.admin"), (0, "Added permission `queues.admin` to `root@example.com`\n")),
        (of("add", root, "queues.admin"), (0, "Permission already exists for `root@example.com`\n")),
        (of("add", "who@example.com", "queues.admin"), (1, "vigie: No user matching `who@example.com`")),
        (
            of("add", root, "queue.admin"),
            (1, "vigie: There is no permission `queue.admin`. Did you mean queues.admin?"),
        ),
        (
            of("add", root, "user.superuser"),
            (1, "vigie: There is no permission `user.superuser`. There are: users.admin"),
        ),
    ] {
        assert!(said.0 == expected.0 && said.1.starts_with(expected.1), "{said:?}");
    }
    // Several people may have one name.
    for id in ["1", "2"] {
        run(folder.path(), &["users", "update", id, "--name", "Root"]);
    }
    assert_eq!(
        of("add", "Root", "users.admin").1.lines().next(),
        Some("vigie: Found more than one user matching `Root`")
    );
    run(folder.path(), &["createuser", "--email", "ann@example.com", "--no-password", "--no-input"]);
    let refused = of("add", "ann@example.com", "users.admin");
    assert!(
        refused.0 == 1 && refused.1.contains("User `ann@example.com` does not have superuser status"),
        "{refused:?}"
    );

    let listed = run(folder.path(), &["permissions", "list", "-u", root]).1;
    let names = ["broadcasts.admin", "options.admin", "projects.admin", "queues.admin", "users.admin"];
    assert_eq!(listed, format!("Permissions for `{root}`:\n- {}\n", names.join("\n- ")));
    assert_eq!(json(folder.path(), &["permissions", "list", "-u", root, "--json"]), serde_json::json!(names));
    let available = json(folder.path(), &["permissions", "available", "--json"]);
    assert_eq!(available.as_array().map(Vec::len), Some(5));
    assert!(available[0]["description"].is_string());
    assert_eq!(run(folder.path(), &["permissions", "add", "-u", root]).0, 2, "an option is missing");

    let log = json(folder.path(), &["api", "get", "/system/audit/?per_page=100"]);
    let acts: Vec<(&str, &str)> = log["rows"]
        .as_array()
        .expect("rows")
        .iter()
        .filter(|row| row["target"] == root)
        .filter_map(|row| Some((row["event"].as_str()?, row["detail"].as_str()?)))
        .filter(|(event, _)| event.starts_with("permission"))
        .collect();
    assert_eq!(acts, [("permission.add", "queues.admin"), ("permission.remove", "queues.admin")]);
    assert_eq!((&log["rows"][0]["channel"], &log["rows"][0]["actor"]["name"]), (&"cli".into(), &"system:cli".into()));
}

#[test]
fn createuser_says_what_is_missing_and_goes_on_after_a_known_address() {
    let folder = with_people();
    let run = |arguments: &[&str]| run(folder.path(), &[&["createuser"], arguments].concat());
    assert_eq!(run(&["--no-input", "--no-password"]), (1, "vigie: Invalid or missing email address.\n".to_owned()));
    let unset = "vigie: No password set and --no-password not passed.\n";
    assert_eq!(run(&["--no-input", "--email", "ann@example.com"]), (1, unset.to_owned()));
    let known = run(&["--no-input", "--no-password", "--email", "root@example.com", "--email", "new@example.com"]);
    let words = "User: root@example.com exists, use --force-update to force.\nuser new@example.com (id 3)\n";
    assert_eq!(known, (1, words.to_owned()));
    assert_eq!(run(&["--email", "x", "--no-password", "--password", "p"]).0, 2);
    assert!(run(&["--email", "nonsense", "--no-password"]).1.contains("Invalid or missing email address."));
    let unknown = run(&["--email", "ann@example.com", "--no-password", "--org-id", "nowhere"]);
    assert!(unknown.0 == 1 && unknown.1.contains("There is no organization nowhere"), "{unknown:?}");

    // An update that says nothing of rights leaves them; one that says so changes them.
    let force = ["--email", "two@example.com", "--no-password", "--no-input", "--force-update"];
    assert_eq!(run(&force).1, "user two@example.com (id 2, superuser)\n");
    assert_eq!(run(&[&force[..], &["--no-superuser"]].concat()).1, "user two@example.com (id 2)\n");
    let held = json(folder.path(), &["permissions", "list", "-u", "two@example.com", "--json"]);
    assert_eq!(held, serde_json::json!([]));
}

#[test]
fn check_18_the_command_line_answers_as_http_does_and_raises_no_rights() {
    let folder = with_people();
    run(folder.path(), &["createuser", "--email", "ann@example.com", "--no-password", "--no-input"]);
    let as_ann = |arguments: &[&str]| run(folder.path(), &[&["api"], arguments, &["--as", "ann@example.com"]].concat());
    let refused = as_ann(&["put", "/users/me/", "-d", r#"{"isSuperuser":true}"#]);
    assert!(refused.0 == 1 && refused.1.contains(r#"status=403 body={"detail":"#), "{refused:?}");
    assert!(as_ann(&["get", "/users/"]).1.contains("status=403"));
    assert!(as_ann(&["delete", "/users/1/"]).1.contains("status=404"), "who that is stays unsaid");
    assert!(as_ann(&["post", "/users/me/permissions/users.admin/"]).1.contains("status=403"));
    assert!(as_ann(&["get", "/nonsense/"]).1.contains("status=404"));
    assert_eq!(run(folder.path(), &["api", "put", "/users/1/", "-d", "{"]).0, 2);
    assert!(run(folder.path(), &["api", "get", "/", "--as", "no@example.com"]).1.contains("No user matching"));
}

#[test]
fn a_slip_is_answered_with_what_was_meant() {
    let folder = tempfile::tempdir().expect("a folder");
    for (arguments, meant) in [
        (&["permission", "list"][..], "did you mean 'vigie permissions'?"),
        (&["createusr"], "did you mean 'vigie createuser'?"),
        (&["queues", "pruge", "x"], "did you mean 'vigie queues purge'?"),
        (&["config", "lits"], "did you mean 'vigie config list'?"),
        (&["metrics", "catalog"], "did you mean 'vigie metrics catalogue'?"),
        (&["permissions", "ad"], "similar subcommand"),
        (&["tokens", "list", "--jsn"], "'--json'"),
        (&["zzzzzz"], "see vigie --help"),
    ] {
        let (code, said) = run(folder.path(), arguments);
        assert!(code == 2 && said.contains(meant), "{arguments:?}: {code} {said}");
    }
    assert!(!folder.path().join("vigie-data").exists(), "a slip creates nothing");
}
