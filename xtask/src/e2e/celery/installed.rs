//! Celery from PyPI under `target/xtask`: the current version in an environment of its own, older ones in folders that
//! are put in front of it, because an environment for each takes many times as long.

use crate::command;
use crate::e2e::programs;
use crate::root::work_dir;
use anyhow::Context;
use std::path::{Path, PathBuf};

/// Pinned: a newer release may not install or run on the day that matters. `backports.zstd` gives kombu zstd.
const CURRENT: &[&str] = &["celery==5.7.0", "kombu==5.7.0", "redis==8.1.0", "packaging==25.0", "backports.zstd==1.2.0"];

/// Pinned too; nobody but Celery's monitor needs it, so it comes when it is asked for.
const FLOWER: &str = "flower==2.2.0";

/// Older kombus whose messages and keys are on the wire for years, each with the Celery of its time.
pub const OLD_VERSIONS: &[(&str, &str)] = &[("5.3.7", "5.3.6"), ("5.5.4", "5.5.3"), ("5.6.2", "5.6.3")];
/// The redis-py that all of them accept.
const OLD_REDIS: &str = "redis==5.2.1";

/// A Python and, for an older version, the folder of packages to put in front.
#[derive(Clone)]
pub struct Version {
    pub python: PathBuf,
    pub packages: Option<PathBuf>,
}

/// Returns the current Celery.
///
/// # Errors
/// If it is not there and cannot be installed.
pub fn current() -> anyhow::Result<Version> {
    let folder = work_dir().join("celery");
    let python = folder.join("bin/python");
    let text = python.display().to_string();
    let check = "import backports.zstd, celery, packaging, redis; assert celery.__version__ == '5.7.0'";
    if !command::works(&text, &["-c", check]) {
        programs::python_venv(&folder)?;
        let install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
        command::run(&text, &[&install, CURRENT].concat())?;
    }
    Ok(Version { python, packages: None })
}

/// Sees to it that the current Celery's environment has Flower.
///
/// # Errors
/// If it is not there and cannot be installed.
pub fn flower(python: &Path) -> anyhow::Result<()> {
    let text = python.display().to_string();
    if command::works(&text, &["-c", "import flower"]) {
        return Ok(());
    }
    command::run(&text, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", FLOWER])
}

/// Returns a Celery with an older kombu.
///
/// # Errors
/// If it is not there and cannot be installed.
pub fn old(kombu: &str) -> anyhow::Result<Version> {
    let celery = OLD_VERSIONS.iter().find(|(version, _)| *version == kombu).context("a known version of kombu")?.1;
    let python = current()?.python;
    let folder = work_dir().join(format!("kombu-{kombu}"));
    let done = folder.join("installed");
    if !done.exists() {
        let target = folder.display().to_string();
        let packages = [format!("celery=={celery}"), format!("kombu=={kombu}")];
        let mut arguments = vec!["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"];
        arguments.extend(["--target", &target, OLD_REDIS, "packaging==25.0", &packages[0], &packages[1]]);
        command::run(&python.display().to_string(), &arguments)?;
        std::fs::write(&done, "").context("note that an older kombu is installed")?;
    }
    Ok(Version { python, packages: Some(folder) })
}
