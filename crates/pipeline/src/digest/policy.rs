//! What each project has set about its events: what is filtered, what is scrubbed, how they are grouped. Read once for
//! each batch, so that a change counts from the next batch on in every worker; made ready once for each setting.

use processing::filter::{self, Filters};
use processing::group::{self, Grouper};
use processing::scrub::{self, Scrubber};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use store::project_options::{self, FILTERS, GROUPING, SCRUBBING};
use store::{StoreError, Stores};

/// Projects whose settings are kept ready. Beyond, all are forgotten and made again as they come.
const READY_MAX: usize = 1_000;

/// Bytes of settings that are kept ready. What is compiled from rules is several times their text.
const READY_BYTES_MAX: usize = 8 << 20;

/// A project's filters, scrubber and grouping, ready for use.
pub struct Policy {
    pub filters: Filters,
    pub scrubber: Scrubber,
    pub grouper: Grouper,
}

/// A project's scrubbing that this release cannot use. Without it nothing may be stored: what the project has asked to be
/// taken from its events would be in them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("use the scrubbing settings of project {project_id}: {why}")]
pub struct Unscrubbable {
    project_id: i64,
    why: String,
}

/// Why a project's events cannot be digested now.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    #[error("read options")]
    Store(#[source] StoreError),
    #[error(transparent)]
    Unscrubbable(Unscrubbable),
}

impl Policy {
    /// Settings were checked when they were stored. If this release cannot use them all the same, defaults stand in for
    /// filters and grouping: they filter nothing that a project did not ask for. Nothing stands in for scrubbing.
    fn of(project_id: i64, options: &[(String, String)]) -> Result<Policy, Unscrubbable> {
        let text = |name: &str| options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
        let filters: Result<filter::Settings, _> = text(FILTERS).map_or(Ok(Default::default()), serde_json::from_str);
        let warn = |what: &str| tracing::warn!(project.id = project_id, setting = what, "settings cannot be used");
        let scrubber = scrubber(text(SCRUBBING)).map_err(|why| Unscrubbable { project_id, why })?;
        let filters = filters.ok().and_then(|settings| Filters::new(&settings).ok()).unwrap_or_else(|| {
            warn(FILTERS);
            Filters::new(&filter::Settings::default()).expect("the default settings are valid")
        });
        let grouping: Result<group::Settings, _> = text(GROUPING).map_or(Ok(Default::default()), serde_json::from_str);
        let grouper = grouping.ok().and_then(|settings| Grouper::new(&settings).ok()).unwrap_or_else(|| {
            warn(GROUPING);
            Grouper::default()
        });
        Ok(Policy { filters, scrubber, grouper })
    }
}

/// Returns the scrubber of stored settings, or why there is none.
fn scrubber(stored: Option<&str>) -> Result<Scrubber, String> {
    let settings: scrub::Settings = match stored {
        Some(text) => serde_json::from_str(text).map_err(|error| error.to_string())?,
        None => scrub::Settings::default(),
    };
    Scrubber::new(&settings).map_err(|error| error.to_string())
}

/// A project's options as they are stored, and what was made of them.
struct Ready {
    options: Vec<(String, String)>,
    policy: Arc<Policy>,
}

/// Policies of all projects that were met lately. Cheap to clone into each worker thread.
#[derive(Clone, Default)]
pub struct Policies(Arc<Mutex<HashMap<i64, Ready>>>);

impl Policies {
    /// Returns the policies as one batch sees them.
    pub fn of_batch<'p>(&'p self, stores: &'p Stores) -> BatchPolicies<'p> {
        BatchPolicies { ready: self, stores, read: HashMap::new() }
    }

    fn ready(&self, project_id: i64, options: Vec<(String, String)>) -> Result<Arc<Policy>, Unscrubbable> {
        let mut ready = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = ready.get(&project_id).filter(|found| found.options == options) {
            return Ok(found.policy.clone());
        }
        let bytes = |options: &[(String, String)]| options.iter().map(|(_, value)| value.len()).sum::<usize>();
        let held: usize = ready.values().map(|ready| bytes(&ready.options)).sum();
        if ready.len() >= READY_MAX || held + bytes(&options) > READY_BYTES_MAX {
            ready.clear();
        }
        let policy = Arc::new(Policy::of(project_id, &options)?);
        ready.insert(project_id, Ready { options, policy: policy.clone() });
        Ok(policy)
    }
}

/// The policies of one batch: each project's options are read once.
pub struct BatchPolicies<'p> {
    ready: &'p Policies,
    stores: &'p Stores,
    read: HashMap<i64, Result<Arc<Policy>, Unscrubbable>>,
}

impl BatchPolicies<'_> {
    /// # Errors
    /// If the options cannot be read now, or the project's scrubbing cannot be used: that is said once for each batch.
    pub fn of(&mut self, project_id: i64) -> Result<Arc<Policy>, PolicyError> {
        if let Some(known) = self.read.get(&project_id) {
            return known.clone().map_err(PolicyError::Unscrubbable);
        }
        let options = self.stores.db.read_blocking(|tx| project_options::all(tx, project_id));
        let policy = self.ready.ready(project_id, options.map_err(PolicyError::Store)?);
        if let Err(why) = &policy {
            let error = stdx::causes::on_one_line(why);
            tracing::error!(project.id = project_id, error, "scrubbing cannot be used, the project's events wait");
        }
        self.read.insert(project_id, policy.clone());
        policy.map_err(PolicyError::Unscrubbable)
    }
}
