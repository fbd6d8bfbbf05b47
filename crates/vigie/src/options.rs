//! Runtime options in this process: the table of keys as `ops` wants it, and the loop that follows the store and SIGHUP.

use crate::config::keys::{self, KEYS};
use crate::config::{self, Config, Layer, Live};
use anyhow::Context;
use ops::options::{Catalogue, KnownOption, OnDisk};
use std::sync::Arc;
use std::time::Duration;
use stdx::Shutdown;
use stdx::component::ComponentError;
use store::Stores;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Every process has seen a changed option within five seconds; this leaves room for a slow store.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Returns the table of keys with what this process's flags, environment and file say now.
pub fn catalogue(current: impl Fn() -> Arc<Config> + Send + Sync + 'static) -> Catalogue {
    Catalogue { list: Box::new(move || known(&current())), check, hint: config::hint }
}

fn known(config: &Config) -> Vec<KnownOption> {
    let on_disk = |key: &keys::Key| {
        let setting = config.layers.in_force(key.name).filter(|setting| setting.layer > Layer::Store)?;
        Some(OnDisk { value: config::shown(key, &setting.text), place: setting.place.clone() })
    };
    let known = |key: &keys::Key| KnownOption {
        name: key.name,
        takes: key.kind.words(),
        help: key.help,
        default: key.default,
        is_runtime: key.is_runtime,
        is_live: key.is_live,
        is_secret: key.is_secret,
        on_disk: on_disk(key),
    };
    KEYS.iter().map(known).collect()
}

fn check(name: &str, value: &str) -> Result<(), String> {
    keys::find(name).map_or(Ok(()), |key| key.kind.check(value))
}

/// From here on SIGHUP does not end the process; it is answered once `keep_following` runs.
///
/// # Errors
/// If signals cannot be watched.
pub fn watch_hangups() -> anyhow::Result<Signal> {
    signal(SignalKind::hangup()).context("watch for SIGHUP")
}

/// Follows runtime options and, on SIGHUP, the file.
pub async fn keep_following(
    live: Arc<Live>,
    stores: Arc<Stores>,
    mut hangup: Signal,
    shutdown: Shutdown,
) -> Result<(), ComponentError> {
    loop {
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            _ = hangup.recv() => reload(&live),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        match stores.db.read(store::options::list).await {
            Ok(options) => live.take_options(options),
            Err(error) => {
                tracing::warn!(error = %stdx::causes::on_one_line(&error), "runtime options not looked at");
            }
        }
    }
}

fn reload(live: &Live) {
    match live.reload() {
        Ok(()) => tracing::info!("configuration read anew"),
        Err(error) => tracing::error!(error = %error, "configuration not read anew; what was in force stays"),
    }
}
