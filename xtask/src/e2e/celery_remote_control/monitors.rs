//! What monitors see: events as Celery's receiver hears them, and Flower.

use super::{Bench, NODE, PASSWORD};
use crate::e2e::eventually;
use anyhow::ensure;
use serde_json::{Value, json};
use std::time::Duration;

const SEEN_WITHIN: Duration = Duration::from_secs(40);
const KINDS: [&str; 6] =
    ["worker-heartbeat", "task-received", "task-started", "task-succeeded", "task-retried", "task-failed"];

impl Bench {
    /// Returns how many kinds of events came.
    pub(super) fn events(&mut self) -> anyhow::Result<usize> {
        let sent = json!([["debug.echo", ["seen ☃"]], ["debug.fail", ["boom"]]]);
        let heard = self.celery.client()?.call("watch", json!({"sent": sent, "wanted": KINDS, "timeout": 60}))?;
        for kind in KINDS {
            let event = &heard[kind];
            ensure!(event["hostname"] == NODE && event["clock"].is_u64(), "{kind}: {heard}");
            ensure!(event["timestamp"].is_f64() && event["pid"] == self.worker.pid(), "{kind}: {heard}");
        }
        let fields = &heard["task-succeeded"];
        ensure!(fields["result"] == "'seen ☃'" && fields["runtime"].is_f64(), "task-succeeded: {fields}");
        ensure!(heard["task-failed"]["exception"] == "RuntimeError('boom')", "task-failed: {}", heard["task-failed"]);
        ensure!(heard["worker-heartbeat"]["freq"] == 2.0, "worker-heartbeat: {}", heard["worker-heartbeat"]);
        Ok(KINDS.len())
    }

    /// Flower shows the worker and its tasks, and what it orders is done.
    pub(super) fn flower(&mut self) -> anyhow::Result<()> {
        let flower = self.celery.flower()?;
        let mut client = self.celery.client()?;
        eventually("Flower to see the worker", SEEN_WITHIN, || {
            let rows = flower.json("/workers?json=1")?;
            Ok((rows["data"][0]["hostname"] == NODE && rows["data"][0]["status"] == true).then_some(()))
        })?;
        let fine = client.send("debug.echo", &json!(["by Flower"]), &json!({"queue": "debug"}))?;
        let broken = client.send("debug.fail", &json!(["boom"]), &json!({"queue": "debug"}))?;
        let long = client.send("debug.sleep", &json!([120]), &json!({"queue": "debug"}))?;
        let state = |id: &str, wanted: &str| {
            eventually(&format!("Flower to show {wanted}"), SEEN_WITHIN, || {
                let tasks = flower.json("/api/tasks")?;
                Ok((tasks[id]["state"] == wanted && tasks[id]["worker"] == NODE).then(|| tasks[id].clone()))
            })
        };
        ensure!(state(&fine, "SUCCESS")?["result"] == "'by Flower'", "Flower's result");
        ensure!(state(&broken, "FAILURE")?["exception"] == "RuntimeError('boom')", "Flower's exception");
        state(&long, "STARTED")?;
        let info = flower.json(&format!("/api/workers?refresh=1&workername={NODE}"))?;
        let info = &info[NODE];
        ensure!(info["stats"]["pool"]["max-concurrency"] == 2, "Flower's pool: {info}");
        ensure!(info["conf"]["worker_concurrency"] == 2 && info["active_queues"][0]["name"].is_string(), "{info}");
        ensure!(info["registered"].as_array().is_some_and(|tasks| tasks.contains(&json!("debug.echo"))), "{info}");
        let is_long = |task: &Value| task["id"] == long.as_str();
        ensure!(info["active"].as_array().is_some_and(|tasks| tasks.iter().any(is_long)), "Flower's active: {info}");
        for page in ["/", "/tasks", "/broker", &format!("/worker/{NODE}"), &format!("/task/{fine}")] {
            let text = flower.get(page)?;
            ensure!(!text.contains(PASSWORD), "Flower's {page} shows the broker's password");
        }
        flower.post(&format!("/api/task/revoke/{long}?terminate=true"), "")?;
        state(&long, "REVOKED")?;
        let said = flower.post("/api/task/rate-limit/debug.echo", &format!("workername={NODE}&ratelimit=100"))?;
        ensure!(said.contains("new rate limit set successfully"), "Flower's rate limit: {said}");
        Ok(())
    }
}
