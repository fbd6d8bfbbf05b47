//! The same list on RabbitMQ: messages, results and failures both ways, delays, retries, limits, compression, workflows,
//! either side's death, older kombus. Results are sent to whoever called (`rpc://`), and Celery refuses chords over that.

use super::messages::{only_python_published, pickle_is_refused, values_to_python};
use super::{Both, takeover};
use crate::e2e::celery::{Celery, OLD_VERSIONS};
use crate::e2e::house::House;
use crate::e2e::servers::{self, Server};
use crate::e2e::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use serde_json::json;
use std::time::{Duration, Instant};

const FROM_PYTHON: &[&str] = &[
    "values",
    "several_arguments",
    "large_body",
    "compressed",
    "failure_class",
    "delayed",
    "expired",
    "time_limited",
    "chains",
    "failed_chain",
    "groups",
    "chord_is_refused",
];
const RESULT_WITHIN: Duration = Duration::from_secs(20);
const PYTHON: &[&str] = &["--queue", "python"];
/// Whoever holds a task when it dies gives it back with its connection; Vigie's ledger frees the lease after 15 s.
const TAKEN_OVER_WITHIN: Duration = Duration::from_secs(40);
const SLEEP_S: u64 = 3;
/// A queue with priorities.
const RANKED: &str = "ranked";

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let house = House::new(case, &[])?;
    let rabbit = servers::rabbit(&house.folder)?;
    let url = rabbit.url();
    let celery = Celery::over(&url, &house.folder)?;
    // A worker of Celery's declares its queues; ours know one that is not named as `celery` is when they are told.
    let house = house.through(&[("BROKER_URL", &format!("{url}?celery_queues=python,{RANKED}"))]);
    let mut both = Both::start_on(house, Server::RabbitMq(rabbit), &celery)?;
    let saw = both.client.scenarios(FROM_PYTHON)?;
    let file = both.house.folder.join("notes");
    both.client.call("links", json!({ "file": file }))?;
    values_to_python(&both)?;
    results_of_python(&both)?;
    pickle_is_refused(&mut both)?;
    priorities(&mut both)?;
    only_python_published(&mut both)?;
    both.vigie_worker.terminate()?;
    let by_python = vigie_dies(&both, &celery)?;
    let by_vigie = python_dies(&mut both, &celery)?;
    older_kombus(&both)?;
    both.end()?;
    Ok(Verdict::Passed(format!(
        "{}; links; and as much from Vigie to Python; taken over by Python after {by_python:.1} s, by Vigie after \
         {by_vigie:.1} s; {} older kombus",
        saw.join("; "),
        OLD_VERSIONS.len()
    )))
}

/// What a Python worker returns, raises and tries again reaches whoever sent the call from here.
fn results_of_python(both: &Both) -> anyhow::Result<()> {
    for class in ["ValueError", "KeyError", "Unlucky"] {
        let arguments = json!([class, "boom ☃"]).to_string();
        let send = ["queues", "send", "python.fail", "--args", &arguments, "--queue", "python", "--wait", "20"];
        let output = both.house.run(&send)?;
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.code() == Some(1), "python.fail ended with {}: {said}", output.status);
        ensure!(said.contains(class) && said.contains("boom ☃"), "the failure of {class} reads: {said}");
    }
    let about = both.house.call("python.about", &json!([]), PYTHON)?;
    ensure!(about["id"] == about["root_id"] && about["id"] == about["correlation_id"], "ids: {about}");
    ensure!(about["retries"] == 0 && about["redelivered"] == false, "a first run: {about}");
    ensure!(about["timelimit"] == json!([null, null]), "no limits: {about}");
    let retried = both.house.call("python.retry_once", &json!([]), PYTHON)?;
    ensure!(retried["retries"] == 1, "a retry: {retried}");
    let sent = Instant::now();
    both.house.call("python.value", &json!(["later"]), &["--queue", "python", "--delay", "2"])?;
    let took = sent.elapsed();
    ensure!((2.0..8.0).contains(&took.as_secs_f64()), "a delay of 2 s took {took:?}");
    Ok(())
}

/// On RabbitMQ 9 is first for both sides, in a queue that was declared with priorities.
fn priorities(both: &mut Both) -> anyhow::Result<()> {
    both.vigie_worker.terminate()?;
    let arguments = json!({"x-max-priority": 10});
    both.client.call("declare", json!({ "queue": RANKED, "arguments": arguments }))?;
    for priority in [0, 9, 3, 6] {
        let line = format!("python {priority}");
        let options = json!({"queue": RANKED, "priority": priority});
        let call = json!({
            "task": "debug.append", "args": ["order", line], "options": options, "queue_arguments": arguments
        });
        both.client.call("send", call)?;
    }
    for priority in ["1", "8"] {
        let line = json!(["order", format!("vigie {priority}")]);
        both.house.send("debug.append", &line, &["--queue", RANKED, "--priority", priority])?;
    }
    both.vigie_worker = both.house.worker("interop", &["-c", "1", "-Q", &format!("default,debug,{RANKED}")])?;
    let lines = eventually("every line of its priority", RESULT_WITHIN, || {
        let lines = both.house.appended("order");
        Ok((lines.len() >= 6).then_some(lines))
    })?;
    // A line is "job-id text".
    let texts: Vec<&str> = lines.iter().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
    let wanted = ["python 9", "vigie 8", "python 6", "python 3", "vigie 1", "python 0"];
    ensure!(texts == wanted, "wanted {wanted:?}, came {texts:?}");
    Ok(())
}

fn vigie_dies(both: &Both, celery: &Celery) -> anyhow::Result<f64> {
    let mut worker = both.house.worker("dying", &["-c", "1"])?;
    let mut client = celery.client()?;
    let id = takeover::sleep(&mut client, SLEEP_S)?;
    held(both)?;
    worker.kill()?;
    let killed = Instant::now();
    let _python = celery.worker("heir", "debug")?;
    let value = client.value(&id, TAKEN_OVER_WITHIN)?;
    takeover::is_redelivered(&value)?;
    Ok(killed.elapsed().as_secs_f64())
}

fn python_dies(both: &mut Both, celery: &Celery) -> anyhow::Result<f64> {
    let mut python = celery.worker("dying", "debug")?;
    let mut client = celery.client()?;
    let id = takeover::sleep(&mut client, SLEEP_S)?;
    eventually("the Python worker to take it", RESULT_WITHIN, || Ok((python.times_received(&id) == 1).then_some(())))?;
    python.kill()?;
    let killed = Instant::now();
    both.vigie_worker = both.house.worker("heir", &["-c", "1"])?;
    let value = client.value(&id, TAKEN_OVER_WITHIN)?;
    ensure!(value["side"] != "python", "Vigie's worker should have run it: {value}");
    Ok(killed.elapsed().as_secs_f64())
}

/// Waits until a worker of Vigie's runs the task.
fn held(both: &Both) -> anyhow::Result<()> {
    eventually("the task to be taken", RESULT_WITHIN, || Ok((both.house.queue("debug")?["leased"] == 1).then_some(())))
}

fn older_kombus(both: &Both) -> anyhow::Result<()> {
    for (kombu, _) in OLD_VERSIONS {
        let celery = Celery::old(kombu, &both.server.url(), &both.house.folder)?;
        let mut client = celery.client()?;
        client.scenarios(&["smoke"]).with_context(|| format!("kombu {kombu}"))?;
    }
    Ok(())
}
