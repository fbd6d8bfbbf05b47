//! What a command works with: the stores of the data directory, beside a running process or without one, and `ops`
//! acting as the system.

use crate::config::Config;
use crate::{broker, options, public_address, roles};
use anyhow::Context;
use ops::{ApiError, Caller, Ops};
use std::future::Future;
use std::sync::Arc;
use stdx::SystemClock;
use store::Stores;

pub struct Local {
    pub ops: Arc<Ops>,
    pub stores: Arc<Stores>,
    runtime: tokio::runtime::Runtime,
}

impl Local {
    /// Opens the stores, creating and migrating them if need be.
    ///
    /// # Errors
    /// If the stores cannot be opened, or are of a newer release.
    pub fn open(config: &Config) -> anyhow::Result<Local> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("start the command's runtime")?;
        let clock = Arc::new(SystemClock);
        let stores = Arc::new(roles::open_stores(config, &*clock)?);
        let options = stores.db.read_blocking(store::options::list).context("read the runtime options")?;
        let config = Arc::new(config.with_options(&options));
        let queue = broker::of_command(&config)?;
        let recorded = stores
            .db
            .read_blocking(|tx| store::settings::get(tx, public_address::SETTING))
            .context("read the public address from the store")?;
        let url = public_address::of_command(&config, recorded);
        let schedule = pipeline::schedules::all().context("read the schedule table")?;
        let ops = Ops::new(stores.clone(), queue, clock, &url).with_schedule(schedule);
        let ops = ops.with_options(options::catalogue(move || config.clone()));
        let ops = Arc::new(ops.with_event_queues(&[pipeline::tasks::EVENTS_QUEUE]));
        Ok(Local { ops, stores, runtime })
    }

    pub fn caller(&self) -> Caller {
        Caller::of_command("cli")
    }

    /// Runs one operation to its end.
    ///
    /// # Errors
    /// The operation's refusal, in the words its client would see.
    pub fn wait<T>(&self, operation: impl Future<Output = Result<T, ApiError>>) -> anyhow::Result<T> {
        self.try_wait(operation).map_err(Local::shown)
    }

    /// Runs one operation to its end, for those who look at the refusal.
    ///
    /// # Errors
    /// The operation's own.
    pub fn try_wait<T>(&self, operation: impl Future<Output = Result<T, ApiError>>) -> Result<T, ApiError> {
        self.run(operation)
    }

    /// Runs anything to its end.
    pub fn run<T>(&self, work: impl Future<Output = T>) -> T {
        self.runtime.block_on(work)
    }

    /// Returns a refusal in the words its client would see.
    pub fn shown(error: ApiError) -> anyhow::Error {
        match &error {
            ApiError::Store { .. } | ApiError::Queue { .. } => anyhow::Error::new(error),
            ApiError::Unauthenticated
            | ApiError::InvalidToken
            | ApiError::WrongPassword
            | ApiError::Forbidden { .. }
            | ApiError::SuperuserNeeded
            | ApiError::PermissionMissing { .. }
            | ApiError::Refused { .. }
            | ApiError::TimedOut
            | ApiError::NotFound
            | ApiError::Invalid { .. }
            | ApiError::Conflict { .. }
            | ApiError::RateLimited { .. } => anyhow::Error::msg(error.detail()),
        }
    }
}
