//! Messages and results both ways: values of all kinds, sizes, compression, delays, priorities, retries, limits.

use super::Both;
use crate::e2e::servers::Server;
use crate::e2e::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

const FROM_PYTHON: &[&str] = &[
    "values",
    "several_arguments",
    "large_body",
    "compressed",
    "failure_class",
    "delayed",
    "expired",
    "result_ignored",
    "time_limited",
];
const RESULT_WITHIN: Duration = Duration::from_secs(20);
const PYTHON: &[&str] = &["--queue", "python"];
/// As much as one argument of a command may be on Linux, with room for the rest.
const LARGE_BYTES: usize = 100_000;

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let mut both = Both::start(case)?;
    let bindings = bindings(&both)?;
    let saw = both.client.scenarios(FROM_PYTHON)?;
    values_to_python(&both)?;
    results_of_python(&mut both)?;
    message_of_vigie(&mut both)?;
    pickle_is_refused(&mut both)?;
    priorities(&mut both)?;
    only_python_published(&mut both)?;
    let after = self::bindings(&both)?;
    let lost: Vec<&String> = bindings.difference(&after).collect();
    ensure!(lost.is_empty(), "kombu's bindings went while Vigie's worker ran: {lost:?}");
    both.end()?;
    Ok(Verdict::Passed(format!("{}; and as much from Vigie to Python", saw.join("; "))))
}

/// kombu 5.7 sweeps bindings whose owner is gone; a worker that is no kombu must lose none.
fn bindings(both: &Both) -> anyhow::Result<BTreeSet<String>> {
    let mut found = BTreeSet::new();
    let Server::Redis(redis) = &both.server else { return Ok(found) };
    for key in redis.ask(0, &["KEYS", "_kombu.binding[._]*"])?.lines() {
        if redis.ask(0, &["TYPE", key])? == "set" {
            let members = redis.ask(0, &["SMEMBERS", key])?;
            found.extend(members.lines().map(|member| format!("{key} {member}")));
        }
    }
    ensure!(found.iter().any(|binding| binding.contains("python")), "a Celery worker has bound its queues");
    Ok(found)
}

pub(super) fn values_to_python(both: &Both) -> anyhow::Result<()> {
    let values = [
        json!("naïve ☃ 𝄞 \u{2028} \"quoted\" \\"),
        json!({"a": [null, true, 1.5, -1], "b": {"c": "é"}}),
        json!(9_007_199_254_740_992_i64),
        json!("x".repeat(LARGE_BYTES)),
    ];
    for value in values {
        let came = both.house.call("python.value", &json!([value]), PYTHON)?;
        ensure!(came == value, "sent {:.60}, came {:.60}", value.to_string(), came.to_string());
    }
    // Named arguments reach it too.
    let said = both.house.text(&[
        "queues",
        "send",
        "python.value",
        "--kwargs",
        r#"{"anything":"named"}"#,
        "--queue",
        "python",
        "--wait",
        "20",
    ])?;
    ensure!(said.lines().last() == Some("\"named\""), "a named argument came back as {said}");
    Ok(())
}

/// Both sides read the result of what Vigie sent, success and failure, with the right class.
fn results_of_python(both: &mut Both) -> anyhow::Result<()> {
    let id = both.house.send("python.add", &json!([1, 2]), PYTHON)?;
    let value = both.client.value(&id, RESULT_WITHIN)?;
    ensure!(value == 3, "1 + 2 came as {value}");
    let cases = [("ValueError", "builtins"), ("KeyError", "builtins"), ("Unlucky", "app")];
    for (class, module) in cases {
        let arguments = json!([class, "boom ☃"]);
        let output = both.house.run(&[
            "queues",
            "send",
            "python.fail",
            "--args",
            &arguments.to_string(),
            "--queue",
            "python",
            "--wait",
            "20",
        ])?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1), "python.fail ended with {}: {said}", output.status);
        ensure!(said.contains(class) && said.contains("boom ☃"), "the failure of {class} reads: {said}");
        let id = both.house.send("python.fail", &arguments, PYTHON)?;
        let came = both.client.call("get", json!({ "id": id }))?;
        ensure!(came["state"] == "FAILURE" && came["class"] == class && came["module"] == module, "{class}: {came}");
    }
    Ok(())
}

/// What a Python worker reads in a message of ours: ids, retries, delays.
fn message_of_vigie(both: &mut Both) -> anyhow::Result<()> {
    let id = both.house.send("python.about", &json!([]), PYTHON)?;
    let about = both.client.value(&id, RESULT_WITHIN)?;
    ensure!(about["id"] == id.as_str() && about["root_id"] == id.as_str(), "ids: {about}");
    ensure!(about["correlation_id"] == id.as_str(), "the correlation id of {id}: {about}");
    ensure!(about["retries"] == 0 && about["redelivered"] != true, "a first run: {about}");
    ensure!(about["timelimit"] == json!([null, null]), "no limits: {about}");

    let id = both.house.send("python.retry_once", &json!([]), PYTHON)?;
    let retried = both.client.value(&id, RESULT_WITHIN)?;
    ensure!(retried == json!({ "id": id, "retries": 1 }), "a retry keeps its id: {retried}");

    let sent = Instant::now();
    let id = both.house.send("python.value", &json!(["later"]), &["--queue", "python", "--delay", "2"])?;
    both.client.value(&id, RESULT_WITHIN)?;
    let took = sent.elapsed();
    ensure!((2.0..6.0).contains(&took.as_secs_f64()), "a delay of 2 s took {took:?}");
    Ok(())
}

pub(super) fn pickle_is_refused(both: &mut Both) -> anyhow::Result<()> {
    let id = both.client.call("pickled", json!({}))?;
    let id = id.as_str().context("pickled returns an id")?.to_owned();
    let letter = eventually("the pickled message among the dead letters", RESULT_WITHIN, || {
        Ok(both.house.dead_letters("debug")?.into_iter().find(|letter| letter["id"] == id.as_str()))
    })?;
    let error = letter["error"].as_str().unwrap_or_default();
    ensure!(error.contains("pickle") || error.contains("x-python-serialize"), "its error does not say why: {letter}");
    ensure!(both.vigie_worker.is_alive(), "the worker ended:\n{}", both.vigie_worker.log_tail());
    both.client.scenarios(&["there_and_back"])?;
    Ok(())
}

/// Celery's own queue, in which only a Python program has put anything: whoever names it serves it.
pub(super) fn only_python_published(both: &mut Both) -> anyhow::Result<()> {
    let id = both.client.send("debug.echo", &json!(["hi"]), &json!({"queue": "celery"}))?;
    let mut worker = both.house.worker("named", &["-c", "1", "-Q", "celery"])?;
    let value = both.client.value(&id, RESULT_WITHIN)?;
    ensure!(value == "hi", "an echo through celery came as {value}");
    let queues = both.house.text(&["queues", "list"])?;
    ensure!(queues.lines().any(|line| line.starts_with("celery ")), "celery is not listed:\n{queues}");
    worker.terminate()
}

/// What waits is begun in the order of its priorities: 0 first for those who speak Celery's, 9 first for ours.
fn priorities(both: &mut Both) -> anyhow::Result<()> {
    both.vigie_worker.terminate()?;
    for priority in [9, 3, 0, 6] {
        let line = format!("python {priority}");
        both.client.send("debug.append", &json!(["order", line]), &json!({"queue": "debug", "priority": priority}))?;
    }
    both.vigie_worker = both.house.worker("interop", &["-c", "1"])?;
    wait_for_order(both, 0, &["python 0", "python 3", "python 6", "python 9"])?;

    both.vigie_worker.terminate()?;
    for priority in ["0", "9", "3", "6"] {
        let line = json!(["order", format!("vigie {priority}")]);
        both.house.send("debug.append", &line, &["--priority", priority])?;
    }
    both.vigie_worker = both.house.worker("interop", &["-c", "1"])?;
    wait_for_order(both, 4, &["vigie 9", "vigie 6", "vigie 3", "vigie 0"])
}

fn wait_for_order(both: &Both, before: usize, wanted: &[&str]) -> anyhow::Result<()> {
    let lines = eventually("every line of its priority", RESULT_WITHIN, || {
        let lines = both.house.appended("order");
        Ok((lines.len() >= before + wanted.len()).then_some(lines))
    })?;
    // A line is "job-id text".
    let texts: Vec<&str> = lines[before..].iter().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    ensure!(texts == wanted, "wanted {wanted:?}, came {texts:?}");
    Ok(())
}
