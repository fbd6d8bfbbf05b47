//! One process of a data directory starts at a time: it opens the stores and brings them to its release's shape. The others
//! wait, say for whom, and give up in the end: a process that stands still while it starts holds nobody up in silence.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Error, ErrorKind, Read, Seek, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;
use std::time::{Duration, Instant};

const NAME: &str = "start.lock";
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Starting takes milliseconds; migrations of large stores take longer.
const SAY_AFTER: Duration = Duration::from_secs(3);
const SAY_EVERY: Duration = Duration::from_secs(30);
const WAIT_MAX: Duration = Duration::from_secs(600);

/// Held while it lives; other processes of the data directory wait for it.
pub struct StartLock(#[expect(dead_code, reason = "the lock is held by the open file")] File);

/// Waits until no other process of the data directory is starting.
///
/// # Errors
/// If the folder cannot be made or locked; `TimedOut` if another process starts and starts.
pub fn take(folder: &Path) -> std::io::Result<StartLock> {
    take_within(folder, WAIT_MAX)
}

fn take_within(folder: &Path, longest: Duration) -> std::io::Result<StartLock> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(NAME);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path)?;
    let asked = Instant::now();
    let mut say_at = SAY_AFTER;
    loop {
        match file.try_lock() {
            Ok(()) => break,
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let waited = asked.elapsed();
        if waited >= longest {
            let text = format!("{} has been starting for {longest:?}; if it stands still, end it", holder(&mut file));
            return Err(Error::new(ErrorKind::TimedOut, text));
        }
        if waited >= say_at {
            let seconds = waited.as_secs();
            tracing::warn!(seconds, folder = %folder.display(), "waiting: {} is starting", holder(&mut file));
            say_at = waited + SAY_EVERY;
        }
        std::thread::sleep(LOOK_EVERY);
    }
    // For whoever waits; the lock is the file's, not the text's.
    file.set_len(0)?;
    file.rewind()?;
    write!(file, "{}", std::process::id())?;
    Ok(StartLock(file))
}

/// Who wrote its number last.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let number = file.rewind().and_then(|()| file.read_to_string(&mut text));
    match text.trim().parse::<u32>() {
        Ok(pid) if number.is_ok() => format!("process {pid}"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_stands_still_is_named_and_nobody_waits_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let held = take(folder.path()).unwrap();
        let error = take_within(folder.path(), Duration::from_millis(50)).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains(&format!("process {}", std::process::id())), "{error}");
        drop(held);
        take_within(folder.path(), Duration::from_millis(50)).unwrap();
    }
}
