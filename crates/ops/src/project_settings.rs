//! What a project sets about its events: scrubbing and inbound filters. Workers see a change with their next batch.

use crate::context::Failure;
use crate::events::{self, EventRef};
use crate::projects::ProjectRef;
use crate::{Actor, ApiError, Ops, Scope, lookup};
use processing::filter::{self, Filters};
use processing::scrub::{self, Scrubber};
use protocol::json;
use serde::de::DeserializeOwned;
use store::project_options::{self, FILTERS, SCRUBBING};

pub use processing::filter::LegacyBrowser;
pub use processing::scrub::Change;

/// Random bytes of the key that makes a project's hashes its own.
const HASH_KEY_BYTES: usize = 16;

/// What a project has set, defaults where it has set nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProjectSettings {
    pub scrubbing: scrub::Settings,
    pub filters: filter::Settings,
}

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
        read(&project_options::all(tx, project.id)?)
    })
    .await
}

/// Changes a project's settings, all of them or none. Returns what they are then.
///
/// # Errors
/// `NotFound` as for `get`, `Invalid` if `change` refuses, or digest could not use the settings.
pub async fn update(
    cx: &Ops,
    actor: &Actor,
    input: &ProjectRef,
    change: impl FnOnce(&mut ProjectSettings) -> Result<(), ApiError> + Send + 'static,
) -> Result<ProjectSettings, ApiError> {
    let (actor, input, now) = (actor.clone(), input.clone(), cx.clock.now());
    cx.write("change a project's settings", move |tx| {
        let project = lookup::project(tx, &actor, &input.org, &input.project, Scope::ProjectWrite)?;
        let before = read(&project_options::all(tx, project.id)?)?;
        let mut settings = before.clone();
        change(&mut settings)?;
        if settings.scrubbing.hash_key.is_empty() {
            settings.scrubbing.hash_key = stdx::hex::encode(&stdx::random::bytes::<HASH_KEY_BYTES>());
        }
        check(&settings)?;
        if settings.scrubbing != before.scrubbing {
            project_options::set(tx, project.id, SCRUBBING, &text(&settings.scrubbing), now)?;
        }
        if settings.filters != before.filters {
            project_options::set(tx, project.id, FILTERS, &text(&settings.filters), now)?;
        }
        Ok(settings)
    })
    .await
}

/// Returns what the project's settings, changed by `change`, would make of a stored event. What was scrubbed when it was
/// stored stays away.
///
/// # Errors
/// `NotFound` if the event is not there or not the actor's, `Invalid` as for `update`.
pub async fn preview(
    cx: &Ops,
    actor: &Actor,
    input: &EventRef,
    change: impl FnOnce(&mut ProjectSettings) -> Result<(), ApiError> + Send + 'static,
) -> Result<ScrubbingPreview, ApiError> {
    let mut settings = get(cx, actor, &input.project).await?;
    change(&mut settings)?;
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

/// Settings of a later release that this one cannot read are shown as defaults, which is what its digest uses.
fn read(options: &[(String, String)]) -> Result<ProjectSettings, Failure> {
    Ok(ProjectSettings { scrubbing: option(options, SCRUBBING), filters: option(options, FILTERS) })
}

fn option<T: Default + DeserializeOwned>(options: &[(String, String)], name: &str) -> T {
    let found = options.iter().find(|(known, _)| known == name);
    found.and_then(|(_, value)| serde_json::from_str(value).ok()).unwrap_or_default()
}

fn check(settings: &ProjectSettings) -> Result<(), ApiError> {
    Scrubber::new(&settings.scrubbing).map_err(|error| ApiError::invalid(format!("Scrubbing: {error}.")))?;
    Filters::new(&settings.filters).map_err(|error| ApiError::invalid(format!("Filters: {error}.")))?;
    Ok(())
}

fn text(settings: &impl serde::Serialize) -> String {
    serde_json::to_string(settings).expect("texts and flags can be written as JSON")
}
