//! A disk that is full: new events are refused with a reason, nothing that was accepted is lost, and once there is room
//! again it goes on without a restart.

use super::place::fresh_folder;
use super::{Case, Place, Verdict, eventually};
use crate::command;
use anyhow::{Context, ensure};
use bench::accounts;
use bench::event::{self, Shape};
use bench::http::{Connection, Failure, Response};
use bench::random::Random;
use bench::server::Dsn;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use stdx::{Clock, SystemClock};

const DISK_SIZE: &str = "size=64m";
const SHAPE: Shape = Shape { groups: 20, bytes: 4_000 };
/// Attempts that must end in a refusal: 64 MB hold no more.
const EVENTS_MAX: usize = 100_000;
/// Events accepted before the disk is filled by somebody else.
const EVENTS_BEFORE: usize = 200;
const REFUSED_WITHIN: Duration = Duration::from_secs(10);
/// The disk stays full for so long while events keep coming.
const STAYS_FULL: Duration = Duration::from_secs(3);
const RECOVERED_WITHIN: Duration = Duration::from_secs(15);
const DRAIN_WITHIN: Duration = Duration::from_secs(120);

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let folder = fresh_folder(case)?;
    let Some(disk) = Disk::mount(&folder.join("disk"), DISK_SIZE)? else {
        return Ok(Verdict::Skipped("a small disk cannot be mounted here (it takes root)".to_owned()));
    };
    let data_dir = disk.0.join("data");
    // The guard that refuses early is turned off: the disk itself must be the one that says no.
    // The log stands on the same disk, as it often does: a line that cannot be written must harm nobody.
    let log = disk.0.join("server.log");
    let mut place = Place::start_in(case, folder, &data_dir, &log, &[("VIGIE_DISK__MIN_FREE", "0B")])?;
    let dsn = place.dsn("default/default")?;
    place.token()?;
    let mut client = Client::new(&place, dsn);
    for _ in 0..EVENTS_BEFORE {
        let response = client.send()?;
        ensure!(response.status == 200, "before: {} {}", response.status, response.text());
    }
    let filler = disk.fill()?;
    let refusal = client.send_until_refused()?;
    ensure!(refusal.status == 503, "refused with {} {}", refusal.status, refusal.text());
    let reason = refusal.header("x-sentry-error").unwrap_or_default().to_owned();
    ensure!(!reason.is_empty() && refusal.header("retry-after").is_some(), "a refusal says why and when to come back");
    client.insist(STAYS_FULL)?;
    // The queue looks at its disk every second, and may have hope until the next event.
    eventually("/health/accept to say 503", REFUSED_WITHIN, || {
        client.send_until_refused()?;
        let health = place.http(&bench::http::request("GET", "/health/accept", &[("Connection", "close")], b""))?;
        Ok((health.status == 503).then_some(()))
    })?;
    ensure!(place.is_alive(), "the server ended:\n{}", place.log_tail());

    std::fs::remove_file(&filler).context("make room")?;
    eventually("an event accepted after there was room again", RECOVERED_WITHIN, || {
        Ok((client.send()?.status == 200).then_some(()))
    })?;
    place.drained(DRAIN_WITHIN)?;
    place.check()?;
    let token = place.token()?;
    let stored = accounts::stored_ids(place.address, &token, "default/default")?;
    let compared = accounts::account(&client.accepted, &client.unanswered, &stored);
    ensure!(compared.is_good(), "accepted and stored ids differ: {}", compared.report());
    let accepted = client.accepted.len();
    place.end()?;
    Ok(Verdict::Passed(format!("refused with '{reason}'; all {accepted} accepted events stored, no restart")))
}

/// A small disk of its own; unmounted at the end.
pub(super) struct Disk(pub PathBuf);

impl Disk {
    /// Mounts one of a size such as `size=64m`. Returns `None` where mounting is not permitted.
    ///
    /// # Errors
    /// If its folder cannot be made.
    pub fn mount(folder: &Path, size: &str) -> anyhow::Result<Option<Disk>> {
        std::fs::create_dir_all(folder).context("make the disk's folder")?;
        let target = folder.display().to_string();
        let is_mounted = command::works("mount", &["-t", "tmpfs", "-o", size, "tmpfs", &target]);
        Ok(is_mounted.then(|| Disk(folder.to_owned())))
    }

    /// Writes a file until there is no room left.
    pub fn fill(&self) -> anyhow::Result<PathBuf> {
        let path = self.0.join("filler");
        let mut file = File::create(&path).context("make the filler")?;
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![0_u8; size];
            while file.write_all(&block).is_ok() {}
        }
        Ok(path)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A lazy unmount works while the server's files are still open. After a good end it is unmounted already.
        let _ = command::works("umount", &["--lazy", &self.0.display().to_string()]);
    }
}

/// Sends events one after the other and remembers them.
struct Client {
    connection: Connection,
    dsn: Dsn,
    random: Random,
    accepted: Vec<String>,
    unanswered: Vec<String>,
}

impl Client {
    fn new(place: &Place, dsn: Dsn) -> Client {
        let connection = Connection::new(place.address, REFUSED_WITHIN);
        Client { connection, dsn, random: Random::new(5), accepted: Vec::new(), unanswered: Vec::new() }
    }

    fn send(&mut self) -> anyhow::Result<Response> {
        let now = SystemClock.now();
        let prepared = event::prepare(SHAPE, &mut self.random, now, &self.dsn.project, &self.dsn.key);
        match self.connection.send(&prepared.request) {
            Ok(response) => {
                if response.status == 200 {
                    self.accepted.push(prepared.event_id);
                }
                Ok(response)
            }
            Err(error) => {
                if matches!(error, Failure::Unanswered(_)) {
                    self.unanswered.push(prepared.event_id);
                }
                Err(error).context("an event was not answered while the disk was full")
            }
        }
    }

    /// Goes on sending: each event is accepted for good, or refused; the server neither hangs nor breaks off.
    fn insist(&mut self, time: Duration) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < time {
            let response = self.send()?;
            ensure!(matches!(response.status, 200 | 503), "{} {}", response.status, response.text());
        }
        Ok(())
    }

    /// What fits into space that was set aside is accepted; then comes the refusal.
    fn send_until_refused(&mut self) -> anyhow::Result<Response> {
        for _ in 0..EVENTS_MAX {
            let response = self.send()?;
            if response.status != 200 {
                return Ok(response);
            }
        }
        anyhow::bail!("{EVENTS_MAX} events were accepted on a full disk")
    }
}
