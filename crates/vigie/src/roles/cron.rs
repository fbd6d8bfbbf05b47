//! The cron role: fires what happens by the clock. Any number of processes may have it.

use super::Base;
use crate::host;
use anyhow::Context;
use pipeline::schedules;
use queue::cron::{Cron, Scheduler};
use std::sync::Arc;
use stdx::component::ComponentError;
use stdx::{Component, Components, Shutdown};

/// Adds the role's component.
pub(super) fn add(base: &mut Base, components: &mut Components) -> anyhow::Result<()> {
    let entries = schedules::all().context("read the schedule table")?;
    let cron = Arc::new(Cron::new(base.queue.clone(), entries, base.clock.clone()));
    let name = format!("cron:{}", base.node);
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let scheduler = Scheduler::start(cron, name, host::name(), version);
    components.push(Component::new("cron", stop_scheduler(scheduler, base.shutdown.clone())));
    Ok(())
}

async fn stop_scheduler(scheduler: Scheduler, shutdown: Shutdown) -> Result<(), ComponentError> {
    shutdown.triggered().await;
    tokio::task::spawn_blocking(move || scheduler.stop()).await?;
    Ok(())
}
