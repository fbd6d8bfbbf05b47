//! `backup` while events come in, `restore` elsewhere, `check` clean: what was accepted before a backup began is stored after
//! its restore, each once, also what still waited. And what is not a whole backup is never taken for one.

use super::full_disk::Disk;
use super::house::House;
use super::kill_test::{self, Sent};
use super::{Case, Place, Verdict, eventually};
use anyhow::{Context, ensure};
use bench::event;
use bench::random::Random;
use bench::server::{Dsn, Server};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use stdx::{Clock, SystemClock};

const GENERATORS: u64 = 4;
/// Load before each backup; it goes on while the backup is taken.
const LOAD: Duration = Duration::from_millis(1_500);
const DRAIN_WITHIN: Duration = Duration::from_secs(300);
const LARGE_EVENTS: usize = 5;
const EVENT_BYTES: usize = 2_000;
/// More than a job holds.
const LARGE_BYTES: usize = 1_200_000;
/// Less than the backup takes.
const SMALL_DISK: &str = "size=512k";
const KILLS: u64 = 5;
const KILL_AFTER_MS: u64 = 150;

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let mut place = Place::start(case)?;
    let dsn = place.dsn("default/default")?;
    let mut sent = Sent::default();
    let mut saw = Vec::new();
    for (number, round) in (0..).zip(["under load", "with a queue that is held"]) {
        if number > 0 {
            command(&place, &["queues", "pause", "events"])?;
        }
        let folder = place.folder().join(format!("backup {round}"));
        // All that was accepted until here must be in it; what comes while it is taken may be.
        let before = std::mem::take(&mut sent.accepted);
        let during = load(&dsn, &place, case.options.seed + 2 * number, || {
            std::thread::sleep(LOAD);
            Ok(())
        })?;
        // Bodies of large events lie beside their jobs, and go when they are digested: while the backup is taken, too.
        let before = [before, during.accepted, large_events(&place, &dsn, number)?].concat();
        let unanswered = [std::mem::take(&mut sent.unanswered), during.unanswered].concat();
        let during = load(&dsn, &place, case.options.seed + 2 * number + 1, || backup(&place, &folder))?;
        let possible = [unanswered.as_slice(), &during.accepted, &during.unanswered].concat();
        let restored = compare(case, &place, &folder, &before, &possible).with_context(|| round.to_owned())?;
        saw.push(format!("{round}: {} accepted before, {restored} stored after the restore", before.len()));
        sent =
            Sent { accepted: [before, during.accepted].concat(), unanswered: [unanswered, during.unanswered].concat() };
    }
    ensure!(place.terminate()?, "SIGTERM did not end in exit code 0");
    let folder = place.folder().join("backup at rest");
    backup(&place, &folder)?;
    compare(case, &place, &folder, &sent.accepted, &sent.unanswered).context("at rest")?;
    let refused = hostile(case, &place, &folder)?;
    place.start_again()?;
    place.end()?;
    Ok(Verdict::Passed(format!("{}; {refused}", saw.join("; "))))
}

/// Sends events until `work` is over.
fn load(dsn: &Dsn, server: &Server, seed: u64, work: impl FnOnce() -> anyhow::Result<()>) -> anyhow::Result<Sent> {
    let stop = AtomicBool::new(false);
    let address = server.address;
    std::thread::scope(|scope| {
        let generate =
            |part: u64| kill_test::generate(address, dsn, Random::new(seed.wrapping_mul(1_000) + part), &stop);
        let generators: Vec<_> = (0..GENERATORS).map(|part| scope.spawn(move || generate(part))).collect();
        let worked = work();
        stop.store(true, Ordering::Relaxed);
        let mut sent = Sent::default();
        for generator in generators {
            let part = generator.join().expect("generating does not panic");
            sent.accepted.extend(part.accepted);
            sent.unanswered.extend(part.unanswered);
        }
        worked.map(|()| sent)
    })
}

/// Posts events whose bodies are too large for their jobs; returns their ids.
fn large_events(server: &Server, dsn: &Dsn, number: u64) -> anyhow::Result<Vec<String>> {
    let mut random = Random::new(900 + number);
    let mut ids = Vec::new();
    for _ in 0..LARGE_EVENTS {
        let event_id = random.event_id();
        let event = event::event(1, EVENT_BYTES, &event_id, &mut random, SystemClock.now());
        let mut envelope = event::envelope(&event_id, &event);
        let head = format!("{{\"type\":\"attachment\",\"length\":{LARGE_BYTES},\"filename\":\"a.txt\"}}\n");
        envelope.extend_from_slice(head.as_bytes());
        envelope.resize(envelope.len() + LARGE_BYTES, b'a');
        let response = server.post(dsn, &[], &envelope)?;
        ensure!(response.status == 200, "a large event: {} {}", response.status, response.text());
        ids.push(event_id);
    }
    Ok(ids)
}

fn command(server: &Server, arguments: &[&str]) -> anyhow::Result<()> {
    let output = server.command(arguments)?;
    let said = [output.stdout, output.stderr].concat();
    let line = arguments.join(" ");
    ensure!(output.status.success(), "vigie {line}: {}: {}", output.status, String::from_utf8_lossy(&said));
    Ok(())
}

fn backup(server: &Server, folder: &Path) -> anyhow::Result<()> {
    command(server, &["backup", &folder.display().to_string()])
}

/// Restores a backup, runs what waited in it, and compares ids. Returns how many are stored.
fn compare(
    case: &Case<'_>,
    place: &Place,
    backup: &Path,
    before: &[String],
    possible: &[String],
) -> anyhow::Result<usize> {
    let house = House::in_folder(case, place.folder(), "restored", &[]);
    let text = backup.display().to_string();
    succeeds(&house, &["restore", &text, "--dry-run"])?;
    succeeds(&house, &["restore", &text])?;
    succeeds(&house, &["check"])?;
    let mut server = house.server(["run", "all"])?;
    command(&server, &["queues", "resume", "events"])?;
    server.drained(DRAIN_WITHIN)?;
    command(&server, &["check"])?;
    // The conservation ledger needs three looks to find something missing.
    std::thread::sleep(Duration::from_secs(16));
    let health = server.http(&bench::http::request("GET", "/health/ready", &[("Connection", "close")], b""))?;
    ensure!(health.status == 200, "not ready after the restore: {}", health.text());
    let stored =
        kill_test::each_once(&mut server, before, possible).context("before the backup and after the restore")?;
    ensure!(server.terminate()?, "SIGTERM did not end in exit code 0:\n{}", server.log_tail());
    std::fs::remove_dir_all(&house.data_dir).context("remove what was restored")?;
    Ok(stored.len())
}

fn succeeds(house: &House, arguments: &[&str]) -> anyhow::Result<()> {
    let output = house.run(arguments)?;
    let said = [output.stdout, output.stderr].concat();
    let line = arguments.join(" ");
    ensure!(output.status.success(), "vigie {line}: {}: {}", output.status, String::from_utf8_lossy(&said));
    Ok(())
}

/// Exit code 1, with these words.
fn refuses(house: &House, arguments: &[&str], words: &str) -> anyhow::Result<()> {
    let output = house.run(arguments)?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = arguments.join(" ");
    let is_refused = output.status.code() == Some(1) && said.contains(words);
    ensure!(is_refused, "vigie {line} was to be refused with '{words}': {}: {said}", output.status);
    Ok(())
}

/// Harm done to a whole backup, killed backups and restores, a disk that is full.
fn hostile(case: &Case<'_>, place: &Place, whole: &Path) -> anyhow::Result<String> {
    let house = House::in_folder(case, place.folder(), "restored", &[]);
    let text = whole.display().to_string();
    let metadata = whole.join("metadata.sqlite");
    let bytes = std::fs::read(&metadata).context("read the backup's metadata")?;
    let mut flipped = bytes.clone();
    flipped[bytes.len() / 2] ^= 1;
    for (harmed, words) in [(flipped.as_slice(), "is damaged"), (&bytes[..bytes.len() / 2], "is cut short")] {
        std::fs::write(&metadata, harmed).context("harm the backup")?;
        refuses(&house, &["restore", &text], words)?;
        let left = std::fs::read_dir(&house.data_dir).context("look into the data directory")?.count();
        ensure!(left == 0, "a restore that failed left {left} files");
    }
    std::fs::write(&metadata, &bytes).context("mend the backup")?;
    let origin = House::in_folder(case, place.folder(), "data", &[]);
    refuses(&origin, &["restore", &text], "is not empty")?;
    refuses(&origin, &["backup", &text], "is not empty")?;
    let killed = killed_restores(&house, &text)?;
    killed_backups(case, &origin, place.folder())?;
    let disk = match Disk::mount(&place.folder().join("disk"), SMALL_DISK)? {
        None => "no small disk here",
        Some(disk) => {
            let folder = disk.0.join("backup").display().to_string();
            refuses(&origin, &["backup", &folder], "No space left")?;
            refuses(&house, &["restore", &folder], "holds no backup")?;
            "a full disk is said, and leaves nothing"
        }
    };
    Ok(format!("{KILLS} killed backups, {killed} restores cut off, none taken for whole; {disk}"))
}

/// A restore that is killed leaves no store, or all of it. Returns how many were cut off.
fn killed_restores(house: &House, backup: &str) -> anyhow::Result<u64> {
    let mut random = Random::new(7);
    let mut cut_off = 0;
    for _ in 0..KILLS {
        let mut restore = house.start("restore", &["restore", backup])?;
        std::thread::sleep(Duration::from_millis(random.below(KILL_AFTER_MS)));
        restore.kill()?;
        if house.data_dir.join("restore.unfinished").exists() {
            cut_off += 1;
            refuses(house, &["check"], "a restore into")?;
            refuses(house, &["run", "worker"], "a restore into")?;
            refuses(house, &["restore", backup], "is not empty")?;
        } else if house.data_dir.join("metadata.sqlite").exists() {
            succeeds(house, &["check"])?;
        }
        // It may have been killed before it made its folder.
        let _ = std::fs::remove_dir_all(&house.data_dir);
    }
    Ok(cut_off)
}

fn killed_backups(case: &Case<'_>, origin: &House, folder: &Path) -> anyhow::Result<()> {
    let mut random = Random::new(8);
    for number in 0..KILLS {
        let killed = folder.join(format!("killed {number}")).display().to_string();
        let mut backup = origin.start("backup", &["backup", &killed])?;
        std::thread::sleep(Duration::from_millis(random.below(KILL_AFTER_MS)));
        backup.kill()?;
        let house = House::in_folder(case, folder, "killed", &[]);
        let is_whole = Path::new(&killed).join("manifest.jsonl").exists();
        if is_whole {
            succeeds(&house, &["restore", &killed, "--dry-run"])?;
        } else {
            refuses(&house, &["restore", &killed], "")?;
        }
    }
    // The lock of a backup goes with its process.
    eventually("a backup after killed ones", Duration::from_secs(10), || {
        let output = origin.run(&["backup", &folder.join("after").display().to_string()])?;
        Ok(output.status.success().then_some(()))
    })
}
