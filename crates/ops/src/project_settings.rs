//! What a project sets about its events: scrubbing, inbound filters, grouping, how long they are kept. Workers see a change
//! with their next batch, retention with its next sweep.

use crate::audit::{self, Note};
use crate::context::Failure;
use crate::events::{self, EventRef};
use crate::projects::{self, ProjectRef, UpdateProject};
use crate::{Actor, ApiError, Caller, Ops, Scope, lookup};
use processing::filter::{self, Filters};
use processing::group::{self, Grouper};
use processing::scrub::{self, Scrubber};
use protocol::json;
use serde::de::DeserializeOwned;
use std::time::Duration;
use stdx::Timestamp;
use store::project_options::{self, FILTERS, GROUPING, SCRUBBING};

pub use processing::filter::LegacyBrowser;
pub use processing::scrub::{Change, Method};

/// Random bytes of the key that makes a project's hashes its own.
const HASH_KEY_BYTES: usize = 16;
/// How long the configuration before is asked about hashes that are new: Sentry's 90 days, by which most issues that
/// still happen have met.
pub const FORMER_CONFIG_LASTS: Duration = Duration::from_secs(90 * 86_400);
/// The longest that may be asked for.
const FORMER_CONFIG_LASTS_MAX: Duration = Duration::from_secs(365 * 86_400);

/// What a project has set, defaults where it has set nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectSettings {
    pub scrubbing: scrub::Settings,
    pub filters: filter::Settings,
    pub grouping: group::Settings,
    /// Days its events are kept, if less than the installation keeps them.
    pub retention_days: Option<i64>,
    /// What is stored and cannot be read by this release; defaults are shown for it, and nothing can be changed.
    pub unreadable: Vec<&'static str>,
}

/// A hundred years: more has no meaning.
const RETENTION_DAYS_MAX: i64 = 36_500;

/// What settings would make of a stored event.
#[derive(Clone, Debug)]
pub struct ScrubbingPreview {
    pub changes: Vec<Change>,
    /// The event as JSON text.
    pub event: Vec<u8>,
}

/// Returns a project's settings.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's.
pub async fn get(cx: &Ops, actor: &Actor, input: &ProjectRef) -> Result<ProjectSettings, ApiError> {
    let (actor, input) = (actor.clone(), input.clone());
    cx.read("read a project's settings", move |tx| {
        let project = lookup::project(tx, &actor, &input.org, &input.project, Scope::ProjectRead)?;
        of_project(tx, project.id)
    })
    .await
}

/// Changes a project and its settings, all of it or nothing. Returns what the settings are then.
///
/// # Errors
/// `NotFound` as for `get`, `Invalid` if `change` refuses, or digest could not use the settings, `Conflict` while stored
/// ones cannot be read; as `projects::update`.
pub async fn update(
    cx: &Ops,
    caller: &Caller,
    input: UpdateProject,
    change: impl FnOnce(&mut ProjectSettings) -> Result<(), ApiError> + Send + 'static,
) -> Result<ProjectSettings, ApiError> {
    let (caller, now) = (caller.clone(), cx.clock.now());
    cx.write("change a project's settings", move |tx| update_within(tx, &caller, &input, now, change)).await
}

/// As `update`, within a transaction that does more.
pub(crate) fn update_within(
    tx: &mut db::Tx<'_>,
    caller: &Caller,
    input: &UpdateProject,
    now: Timestamp,
    change: impl FnOnce(&mut ProjectSettings) -> Result<(), ApiError>,
) -> Result<ProjectSettings, Failure> {
    let ProjectRef { org, project } = &input.project;
    let project = lookup::project(tx, caller, org, project, Scope::ProjectWrite)?;
    projects::change(tx, caller, &project, input, now)?;
    let before = of_project(tx, project.id)?;
    let mut settings = before.clone();
    change(&mut settings)?;
    if settings == before {
        return Ok(settings);
    }
    // Written back, what is shown in its place would stand for it for good.
    if let Some(name) = before.unreadable.first() {
        let detail = format!("The stored settings of {name} cannot be read by this release; nothing was changed.");
        return Err(ApiError::Conflict { detail }.into());
    }
    if settings.scrubbing.hash_key.is_empty() {
        settings.scrubbing.hash_key = stdx::hex::encode(&stdx::random::bytes::<HASH_KEY_BYTES>());
    }
    keep_issues_together(&before.grouping, &mut settings.grouping, now);
    check(&settings, now)?;
    if settings.grouping != before.grouping {
        settings.grouping.revision = before.grouping.revision + 1;
    }
    store(tx, project.id, &before, &settings, now)?;
    let note = Note::new("project.settings", &format!("{}/{}", project.organization.slug, project.slug));
    audit::note(tx, caller, &note.of_organization(project.organization.id), now)?;
    Ok(settings)
}

/// Stores what is other than before.
fn store(
    tx: &mut db::Tx<'_>,
    id: i64,
    before: &ProjectSettings,
    settings: &ProjectSettings,
    now: Timestamp,
) -> Result<(), Failure> {
    if settings.scrubbing != before.scrubbing {
        project_options::set(tx, id, SCRUBBING, &text(&settings.scrubbing), now)?;
    }
    if settings.filters != before.filters {
        project_options::set(tx, id, FILTERS, &text(&settings.filters), now)?;
    }
    if settings.grouping != before.grouping {
        project_options::set(tx, id, GROUPING, &text(&settings.grouping), now)?;
    }
    if settings.retention_days != before.retention_days {
        store::projects::set_retention(tx, id, settings.retention_days)?;
    }
    Ok(())
}

/// A project that changes its configuration without saying what becomes of its issues keeps them: hashes that are new
/// find their issue by the configuration before, for a while.
fn keep_issues_together(before: &group::Settings, after: &mut group::Settings, now: Timestamp) {
    let says_nothing = after.former_config == before.former_config && after.former_until == before.former_until;
    if after.config != before.config && says_nothing {
        after.former_config = Some(before.config.clone());
        after.former_until = now.plus(FORMER_CONFIG_LASTS).micros() / 1_000_000;
    }
}

/// Returns what the project's settings, changed by `change`, would make of a stored event. What was scrubbed when it was
/// stored stays away.
///
/// # Errors
/// `NotFound` if the event is not there or not the actor's, `Invalid` as for `update`; `Forbidden` for settings that are
/// not the stored ones without `project:write`: their rules are compiled, which only who may store them may ask for.
pub async fn preview(
    cx: &Ops,
    actor: &Actor,
    input: &EventRef,
    change: impl FnOnce(&mut ProjectSettings) -> Result<(), ApiError> + Send + 'static,
) -> Result<ScrubbingPreview, ApiError> {
    let stored = get(cx, actor, &input.project).await?;
    let mut settings = stored.clone();
    change(&mut settings)?;
    if settings != stored {
        let (actor, ProjectRef { org, project }) = (actor.clone(), input.project.clone());
        let allowed = cx.read("preview scrubbing", move |tx| {
            lookup::project(tx, &actor, &org, &project, Scope::ProjectWrite).map(|_project| ())
        });
        allowed.await?;
    }
    let payload = events::raw_json(cx, actor, input).await?;
    cx.blocking("preview scrubbing", move |_stores| {
        let scrubber = Scrubber::new(&settings.scrubbing).map_err(|error| ApiError::invalid(error.to_string()))?;
        let damaged = |_| store::StoreError::Damaged { what: "read an event's payload".to_owned() };
        let mut event = json::parse(&payload).map_err(damaged)?;
        let changes = scrubber.scrub(&mut event);
        Ok(ScrubbingPreview { changes, event: json::to_text(&event).into_bytes() })
    })
    .await
}

fn of_project(tx: &mut db::Tx<'_>, id: i64) -> Result<ProjectSettings, Failure> {
    let retention_days = store::projects::retention_days(tx, id)?;
    Ok(ProjectSettings { retention_days, ..read(&project_options::all(tx, id)?) })
}

/// Returns what a project has set about grouping, for operations that have let the actor through; defaults where that
/// cannot be read, which is what the digest uses then.
pub(crate) fn grouping(tx: &mut db::Tx<'_>, project_id: i64) -> Result<group::Settings, Failure> {
    Ok(option(&project_options::all(tx, project_id)?, GROUPING, &mut Vec::new()))
}

fn read(options: &[(String, String)]) -> ProjectSettings {
    let mut unreadable = Vec::new();
    ProjectSettings {
        scrubbing: option(options, SCRUBBING, &mut unreadable),
        filters: option(options, FILTERS, &mut unreadable),
        grouping: option(options, GROUPING, &mut unreadable),
        retention_days: None,
        unreadable,
    }
}

/// Returns an option, its default where it is not set. One that cannot be read is told in `unreadable`.
fn option<T: Default + DeserializeOwned>(
    options: &[(String, String)],
    name: &'static str,
    unreadable: &mut Vec<&'static str>,
) -> T {
    let Some((_, value)) = options.iter().find(|(known, _)| known == name) else {
        return T::default();
    };
    serde_json::from_str(value).unwrap_or_else(|_unreadable| {
        unreadable.push(name);
        T::default()
    })
}

fn check(settings: &ProjectSettings, now: Timestamp) -> Result<(), ApiError> {
    Scrubber::new(&settings.scrubbing).map_err(|error| ApiError::invalid(format!("Scrubbing: {error}.")))?;
    Filters::new(&settings.filters).map_err(|error| ApiError::invalid(format!("Filters: {error}.")))?;
    Grouper::new(&settings.grouping).map_err(|error| ApiError::invalid(format!("Grouping: {error}.")))?;
    if settings.grouping.former_until > now.plus(FORMER_CONFIG_LASTS_MAX).micros() / 1_000_000 {
        return Err(ApiError::invalid("Grouping: the configuration before can be asked for a year at most."));
    }
    if settings.retention_days.is_some_and(|days| !(1..=RETENTION_DAYS_MAX).contains(&days)) {
        return Err(ApiError::invalid(format!("Retention: 1 to {RETENTION_DAYS_MAX} days, or none of its own.")));
    }
    Ok(())
}

fn text(settings: &impl serde::Serialize) -> String {
    serde_json::to_string(settings).expect("texts and flags can be written as JSON")
}
