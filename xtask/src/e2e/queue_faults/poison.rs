//! A job that kills its worker is a dead letter after three lonely deaths, everything else is done, and an operator can
//! try it again or forget it.

use super::Brokers;
use crate::e2e::house::{House, Process};
use crate::e2e::{Case, Verdict, eventually};
use anyhow::{Context, ensure};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const FILE: &str = "beside";
const OTHERS: usize = 20;
const LONELY_DEATHS: u64 = 3;
/// Where a dead worker is known at once.
const EMBEDDED_WITHIN: Duration = Duration::from_secs(30);
/// Where each death may take 20 s to be noticed; the first may be one in company.
const REDIS_WITHIN: Duration = Duration::from_secs(110);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let brokers = Brokers::start(case)?;
    // Both wait for deaths to be noticed most of the time.
    let (embedded, redis) = std::thread::scope(|scope| {
        let redis = scope.spawn(|| on(&brokers.on_redis, REDIS_WITHIN, false).context("on Redis"));
        let embedded = on(&brokers.embedded, EMBEDDED_WITHIN, true).context("on the embedded queue");
        (embedded, redis.join().expect("the test does not panic"))
    });
    let (embedded, redis) = (embedded?, redis?);
    brokers.end();
    Ok(Verdict::Passed(format!("poison after {embedded:.1} s embedded, {redis:.1} s on Redis; retried, discarded")))
}

fn on(house: &House, within: Duration, is_tried_again: bool) -> anyhow::Result<f64> {
    let web = house.web()?;
    let mut worker = Supervised::start(house)?;
    for number in 0..OTHERS {
        if number == OTHERS / 2 {
            house.send("debug.abort", &json!([]), &[])?;
        }
        house.send("debug.append", &json!([FILE, format!("line-{number}")]), &[])?;
    }
    let started = Instant::now();
    let letter = worker.until_dead(within)?;
    let took = started.elapsed().as_secs_f64();
    let is_right = letter["reason"] == "poison" && letter["task"] == "debug.abort" && letter["queue"] == "debug";
    ensure!(is_right && letter["deaths"].as_u64() >= Some(LONELY_DEATHS), "the dead letter reads {letter}");
    worker.until("the other jobs", within, || Ok((house.appended(FILE).len() == OTHERS).then_some(())))?;

    let id = letter["id"].as_str().context("a dead letter has an id")?;
    if is_tried_again {
        house.text(&["queues", "dead", "retry", id])?;
        ensure!(house.dead_letters("debug")?.is_empty(), "it is still a dead letter after its retry");
        let again = worker.until_dead(within)?;
        ensure!(again["id"] == id && again["reason"] == "poison", "after a retry it reads {again}");
    }
    house.text(&["queues", "dead", "discard", id])?;
    ensure!(house.dead_letters("debug")?.is_empty(), "it is still a dead letter after it was discarded");
    ensure!(!house.run(&["queues", "dead", "discard", id])?.status.success(), "a second discard should be refused");
    let row = house.queue("debug")?;
    ensure!(row["ready"] == 0 && row["leased"] == 0 && row["dead"] == 0, "the queue is not empty: {row}");
    worker.process.terminate()?;
    drop(web);
    Ok(took)
}

/// A worker that is started again whenever it has died, as a supervisor does.
struct Supervised<'a> {
    house: &'a House,
    process: Process,
}

impl<'a> Supervised<'a> {
    const ARGUMENTS: &'static [&'static str] = &["-Q", "debug", "-c", "2"];

    fn start(house: &'a House) -> anyhow::Result<Supervised<'a>> {
        Ok(Supervised { house, process: house.worker("supervised", Self::ARGUMENTS)? })
    }

    fn until<T>(
        &mut self,
        what: &str,
        within: Duration,
        mut ask: impl FnMut() -> anyhow::Result<Option<T>>,
    ) -> anyhow::Result<T> {
        eventually(what, within, || {
            if !self.process.is_alive() {
                self.process = self.house.start_worker("supervised", Self::ARGUMENTS)?;
            }
            ask()
        })
    }

    /// Waits for the one dead letter.
    fn until_dead(&mut self, within: Duration) -> anyhow::Result<Value> {
        let house = self.house;
        self.until("debug.abort among the dead letters", within, || Ok(house.dead_letters("debug")?.into_iter().next()))
    }
}
