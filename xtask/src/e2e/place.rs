//! A test's folder and its private server. Both go away when the test passes; after a failure the folder stays, and the
//! end of the server's log is printed.

use super::Case;
use crate::command;
use crate::root::work_dir;
use anyhow::Context;
use bench::server::Server;
use std::ops::{Deref, DerefMut};
use std::path::{Path, PathBuf};

/// A running server in a test's folder.
pub struct Place {
    server: Server,
    folder: PathBuf,
}

/// Returns a fresh, empty folder of the test and this process; what killed runs left behind goes away.
///
/// # Errors
/// If it cannot be made.
pub fn fresh_folder(case: &Case<'_>) -> anyhow::Result<PathBuf> {
    let runs = work_dir().join("run");
    std::fs::create_dir_all(&runs).with_context(|| format!("make {}", runs.display()))?;
    for entry in std::fs::read_dir(&runs).with_context(|| format!("list {}", runs.display()))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(case.name).and_then(|rest| rest.strip_prefix('-'));
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid).exists()) {
            remove(&entry.path());
        }
    }
    let folder = runs.join(format!("{}-{}", case.name, std::process::id()));
    std::fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

/// Removes a folder and a disk mounted in it. What cannot be removed lies under target/ and harms nobody.
fn remove(folder: &Path) {
    let disk = folder.join("disk");
    if disk.exists() {
        let _ = command::works("umount", &["--lazy", &disk.display().to_string()]);
    }
    let _ = std::fs::remove_dir_all(folder);
}

impl Place {
    /// Starts a server in a fresh folder.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn start(case: &Case<'_>) -> anyhow::Result<Place> {
        let folder = fresh_folder(case)?;
        let data_dir = folder.join("data");
        let log = folder.join("server.log");
        Place::start_in(case, folder, &data_dir, &log, &[])
    }

    /// Starts a server whose data and log stand elsewhere.
    ///
    /// # Errors
    /// If it does not become ready.
    pub fn start_in(
        case: &Case<'_>,
        folder: PathBuf,
        data_dir: &Path,
        log: &Path,
        environment: &[(&str, &str)],
    ) -> anyhow::Result<Place> {
        Ok(Place { server: Server::start(&case.exe(), data_dir, log, environment)?, folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs `vigie check`: counters, rows and queue must agree.
    ///
    /// # Errors
    /// If they do not; what disagrees is in the message.
    pub fn check(&self) -> anyhow::Result<()> {
        let output = self.server.command(&["check"])?;
        let said = [output.stdout, output.stderr].concat();
        anyhow::ensure!(output.status.success(), "vigie check:\n{}", String::from_utf8_lossy(&said));
        Ok(())
    }

    /// Ends the server in good order and removes the folder; call it when everything was as it should be.
    ///
    /// # Errors
    /// If SIGTERM does not lead to exit code 0.
    pub fn end(mut self) -> anyhow::Result<()> {
        anyhow::ensure!(self.server.terminate()?, "SIGTERM did not end in exit code 0:\n{}", self.server.log_tail());
        remove(&self.folder);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.server.pid() != 0 {
            println!(
                "--- last lines of the server's log ({} stays)\n{}",
                self.folder.display(),
                self.server.log_tail()
            );
        }
    }
}

impl Deref for Place {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Place {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}
