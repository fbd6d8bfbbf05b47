//! Programs that tests need: found on the machine, else installed: language packages under `target/xtask`, system
//! packages with apt where we may.

use crate::command::{self, say};
use crate::root::{root, work_dir};
use anyhow::{Context, bail};
use std::path::{Path, PathBuf};

/// Versions that are known to install and run; a newer release may not on the day that matters.
const PYTHON_SDK: &str = "sentry-sdk==2.75.0";
const PYTHON_ZSTD: &str = "zstandard==0.25.0";
const NODE_SDK: &str = "@sentry/node@11.11.0";
const BROWSER_SDK: &str = "@sentry/browser@11.12.0";

/// Returns a Python that has `sentry_sdk`.
///
/// # Errors
/// If there is none and it cannot be installed.
pub fn python() -> anyhow::Result<PathBuf> {
    let folder = work_dir().join("python");
    let python = folder.join("bin/python");
    let text = python.display().to_string();
    if command::works(&text, &["-c", "import sentry_sdk"]) {
        return Ok(python);
    }
    python_venv(&folder)?;
    command::run(&text, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYTHON_SDK])?;
    Ok(python)
}

/// Returns a Python that can open zstd frames.
///
/// # Errors
/// If there is none and it cannot be installed.
pub fn python_zstd() -> anyhow::Result<PathBuf> {
    let python = python()?;
    let text = python.display().to_string();
    if !command::works(&text, &["-c", "import zstandard"]) {
        command::run(&text, &["-m", "pip", "install", "--quiet", "--disable-pip-version-check", PYTHON_ZSTD])?;
    }
    Ok(python)
}

/// Makes an empty Python environment.
///
/// # Errors
/// If there is no Python and it cannot be installed.
pub fn python_venv(folder: &Path) -> anyhow::Result<()> {
    if !command::works("python3", &["-c", "import venv, ensurepip"]) {
        install(&["python3", "python3-venv"])?;
    }
    std::fs::create_dir_all(work_dir()).context("make target/xtask")?;
    command::run("python3", &["-m", "venv", &folder.display().to_string()])
}

/// Sees to it that `redis-server` and `redis-cli` are on the path.
///
/// # Errors
/// If they are not there and cannot be installed.
pub fn redis() -> anyhow::Result<()> {
    if command::works("redis-server", &["--version"]) && command::works("redis-cli", &["--version"]) {
        return Ok(());
    }
    install(&["redis-server", "redis-tools"])
}

/// Sees to it that RabbitMQ is installed; tests start servers of their own.
///
/// # Errors
/// If it is not there and cannot be installed.
pub fn rabbitmq() -> anyhow::Result<()> {
    if Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists() {
        return Ok(());
    }
    install(&["rabbitmq-server"])
}

/// Returns a folder whose `node_modules` holds `@sentry/node`.
///
/// # Errors
/// If there is none and it cannot be installed.
pub fn node_folder() -> anyhow::Result<PathBuf> {
    npm_folder("node", "@sentry/node", NODE_SDK)
}

/// Returns a folder whose `node_modules` holds `@sentry/browser`, as modules that a browser can load.
///
/// # Errors
/// If there is none and it cannot be installed.
pub fn browser_folder() -> anyhow::Result<PathBuf> {
    npm_folder("browser", "@sentry/browser", BROWSER_SDK)
}

fn npm_folder(name: &str, package: &str, version: &str) -> anyhow::Result<PathBuf> {
    if !command::works("node", &["--version"]) || !command::works("npm", &["--version"]) {
        install(&["nodejs", "npm"])?;
    }
    let folder = work_dir().join(name);
    if folder.join("node_modules").join(package).join("package.json").exists() {
        return Ok(folder);
    }
    std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    std::fs::write(folder.join("package.json"), "{\"private\":true}\n").context("write package.json")?;
    let prefix = folder.display().to_string();
    command::run("npm", &["install", "--prefix", &prefix, "--no-audit", "--no-fund", "--loglevel=error", version])?;
    Ok(folder)
}

/// Sees to it that there is a Ruby that has `sentry-ruby`: Debian's, since its registry is not reached everywhere.
///
/// # Errors
/// If there is none and it cannot be installed.
pub fn ruby() -> anyhow::Result<()> {
    if command::works("ruby", &["-e", "require 'sentry-ruby'"]) {
        return Ok(());
    }
    install(&["ruby", "ruby-sentry-ruby"])
}

/// Builds the program with Sentry's Rust SDK, which is no part of the workspace; returns its path.
///
/// # Errors
/// If it cannot be built.
pub fn rust_app() -> anyhow::Result<PathBuf> {
    let manifest = root().join("e2e/clients/rust_app/Cargo.toml").display().to_string();
    let target = work_dir().join("rust_app");
    let folder = target.display().to_string();
    command::run("cargo", &["build", "--quiet", "--locked", "--manifest-path", &manifest, "--target-dir", &folder])?;
    Ok(target.join("debug/rust-app"))
}

/// Returns the name of a Chromium on the path.
///
/// # Errors
/// If there is none and it cannot be installed.
pub fn chromium() -> anyhow::Result<&'static str> {
    let find = || {
        ["chromium", "chromium-browser", "google-chrome"].into_iter().find(|name| command::works(name, &["--version"]))
    };
    if let Some(name) = find() {
        return Ok(name);
    }
    install(&["chromium"])?;
    find().context("chromium was installed and does not start")
}

/// Installs system packages, if this machine has apt and we are root.
fn install(packages: &[&str]) -> anyhow::Result<()> {
    let is_root = std::process::Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout == b"0\n");
    if !is_root || !command::works("apt-get", &["--version"]) {
        bail!("{} is missing: install it and run again", packages.join(" and "));
    }
    say(&format!("{} is missing; installing it", packages.join(" and ")));
    command::run("apt-get", &["update", "-q"])?;
    command::run("apt-get", &[&["install", "-y", "-q", "--no-install-recommends"], packages].concat())
}
