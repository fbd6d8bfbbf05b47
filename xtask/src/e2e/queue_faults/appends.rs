//! Jobs whose effect can be counted: each `debug.append` writes its line once. Senders note what was accepted, a watcher
//! notes when each line was there, and afterwards both are compared.

use crate::e2e::house::House;
use anyhow::{Context, bail, ensure};
use serde_json::json;
use std::collections::{BTreeSet, HashMap};
use std::io::{Read, Seek, SeekFrom};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Commands that send at the same time.
const SENDERS: u64 = 3;

/// What was accepted, by line, and when its command had returned.
#[derive(Default)]
pub struct Sent {
    pub accepted: HashMap<String, Instant>,
    /// The command failed: the job may have been kept all the same.
    pub unknown: BTreeSet<String>,
}

/// Sends lines by commands until `jobs` are sent, or `stop` is set.
pub fn send(house: &House, file: &str, jobs: u64, stop: &AtomicBool) -> Sent {
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let one_by_one = || {
            let mut sent = Sent::default();
            while !stop.load(Ordering::Relaxed) {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= jobs {
                    break;
                }
                let line = format!("line-{number}");
                match house.send("debug.append", &json!([file, line]), &[]) {
                    Ok(_) => {
                        sent.accepted.insert(line, Instant::now());
                    }
                    Err(_) => {
                        sent.unknown.insert(line);
                    }
                }
            }
            sent
        };
        let senders: Vec<_> = (0..SENDERS).map(|_| scope.spawn(one_by_one)).collect();
        let mut whole = Sent::default();
        for sender in senders {
            let part = sender.join().expect("sending does not panic");
            whole.accepted.extend(part.accepted);
            whole.unknown.extend(part.unknown);
        }
        whole
    })
}

/// When each line was seen in the file first, and lines that came twice.
#[derive(Default)]
pub struct Seen {
    pub at: HashMap<String, Instant>,
    pub twice: Vec<String>,
    /// In the order in which they came.
    pub moments: Vec<Instant>,
}

/// Follows the file until `stop` is set; what was written before that is in the answer.
pub fn watch(house: &House, file: &str, stop: &AtomicBool) -> anyhow::Result<Seen> {
    let path = house.data_dir.join("debug").join(file);
    let mut seen = Seen::default();
    let (mut read, mut rest) = (0, Vec::new());
    loop {
        let is_last = stop.load(Ordering::Relaxed);
        if let Ok(mut log) = std::fs::File::open(&path) {
            log.seek(SeekFrom::Start(read)).context("follow the appended lines")?;
            read += log.read_to_end(&mut rest).context("read the appended lines")? as u64;
        }
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = rest.drain(..=end).collect();
            seen.note(&String::from_utf8_lossy(&line))?;
        }
        if is_last {
            return Ok(seen);
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

impl Seen {
    /// A line is "job-id text".
    fn note(&mut self, line: &str) -> anyhow::Result<()> {
        let Some((_, text)) = line.trim_end().split_once(' ') else { bail!("a line without a job's id: {line:?}") };
        let now = Instant::now();
        self.moments.push(now);
        if self.at.insert(text.to_owned(), now).is_some() {
            self.twice.push(text.to_owned());
        }
        Ok(())
    }

    /// The longest time without a line, between `from` and the last one.
    pub fn longest_gap(&self, from: Instant) -> Duration {
        let after: Vec<Instant> = self.moments.iter().copied().filter(|at| *at >= from).collect();
        let gaps = after.windows(2).map(|pair| pair[1] - pair[0]);
        let first = after.first().map(|first| *first - from);
        gaps.chain(first).max().unwrap_or(Duration::MAX)
    }
}

/// Every accepted line is there once, and no line is there that was not sent; returns the longest wait.
///
/// # Errors
/// If not; some of the lines are named.
pub fn compare(sent: &Sent, seen: &Seen) -> anyhow::Result<Duration> {
    let some = |lines: &mut dyn Iterator<Item = &String>| -> Vec<String> { lines.take(5).cloned().collect() };
    let lost: Vec<&String> = sent.accepted.keys().filter(|line| !seen.at.contains_key(*line)).collect();
    ensure!(lost.is_empty(), "{} accepted jobs are lost, such as {:?}", lost.len(), some(&mut lost.into_iter()));
    ensure!(seen.twice.is_empty(), "{} lines came twice: {:?}", seen.twice.len(), some(&mut seen.twice.iter()));
    let is_known = |line: &String| sent.accepted.contains_key(line) || sent.unknown.contains(line);
    let strange: Vec<&String> = seen.at.keys().filter(|line| !is_known(line)).collect();
    ensure!(strange.is_empty(), "lines that nobody sent: {:?}", some(&mut strange.into_iter()));
    // A line may be there before its sender has looked at the clock.
    let waits = sent.accepted.iter().map(|(line, at)| seen.at[line].saturating_duration_since(*at));
    Ok(waits.max().unwrap_or_default())
}

/// Waits until every accepted line is there.
///
/// # Errors
/// If they are not in time; says how many are missing.
pub fn all_there(house: &House, file: &str, sent: &Sent, within: Duration) -> anyhow::Result<()> {
    let missing = AtomicU64::new(0);
    let what = format!("{} accepted lines", sent.accepted.len());
    let waited = crate::e2e::eventually(&what, within, || {
        let lines = house.appended(file);
        let there: BTreeSet<&str> = lines.iter().filter_map(|line| Some(line.split_once(' ')?.1)).collect();
        let count = sent.accepted.keys().filter(|line| !there.contains(line.as_str())).count();
        missing.store(count as u64, Ordering::Relaxed);
        Ok((count == 0).then_some(()))
    });
    waited.with_context(|| format!("{} lines are missing", missing.into_inner()))
}
