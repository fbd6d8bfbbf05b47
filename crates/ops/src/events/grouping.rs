//! Why an event is of its issue: grouped again by what the project has set now, with every part that counted or did not.

use super::{EventRef, body::Body, locate, queries, read};
use crate::context::Failure;
use crate::project_settings;
use crate::{Actor, ApiError, Ops};
use processing::group::{self, Grouper, Variant};
use processing::normalise;
use protocol::event::Event;
use serde_json::Value;
use store::Stores;
use store::events::StoredEvent;

/// How an event is grouped.
#[derive(Clone, Debug)]
pub struct EventGrouping {
    /// Name of the configuration.
    pub config: String,
    pub variants: Vec<GroupingVariant>,
    /// In the order in which they are asked for an issue.
    pub hashes: Vec<String>,
    /// The hashes when it was stored, and by what they were made; null where an earlier release stored it.
    pub stored: Value,
    /// `fingerprint` with the rule it is from, and `stacks` with what was decided of each frame.
    pub explanation: Value,
}

/// One way of grouping an event.
#[derive(Clone, Debug)]
pub struct GroupingVariant {
    pub name: String,
    pub hash: Option<String>,
    pub contributes: bool,
    /// Why it does not contribute, or what it was made of.
    pub hint: Option<String>,
    /// Whether the event was stored under other hashes.
    pub is_new: bool,
    /// The tree of components: `id`, `contributes`, `hint`, `rule`, `values`. Null for hashes that are of no component.
    pub component: Value,
}

/// Returns how an event is grouped by what its project has set now.
///
/// # Errors
/// `NotFound` if the event is not there or not the actor's.
pub async fn grouping(cx: &Ops, actor: &Actor, input: &EventRef) -> Result<EventGrouping, ApiError> {
    let project_id = queries::project_of(cx, actor, &input.project.org, &input.project.project).await?;
    let event_id = locate::parse_event_id(&input.event_id)?;
    cx.blocking("group an event", move |stores| {
        let stored = locate::by_id(stores, project_id, &event_id)?;
        let settings = stores.db.read_blocking(|tx| project_settings::grouping(tx, project_id))?;
        // Settings of a later release: what the digest does without them is shown.
        let grouper = Grouper::new(&settings).unwrap_or_default();
        with_event(stores, &stored, |event, record| explain(&grouper, event, record))
    })
    .await
}

/// Reads a stored event and hands it on, normalised, with the record of how it was grouped.
pub(crate) fn with_event<T>(
    stores: &Stores,
    stored: &StoredEvent,
    then: impl FnOnce(&Event<'_>, &Value) -> T,
) -> Result<T, Failure> {
    let body = Body::read(stores.body(stored)?)?;
    let event = normalise(read::parse(body.payload())?, &body.context(stored));
    Ok(then(&event, body.grouping().unwrap_or(&Value::Null)))
}

fn explain(grouper: &Grouper, event: &Event<'_>, record: &Value) -> EventGrouping {
    let grouping = group::group(event, &grouper.config);
    let mut explanation = group::explain(event, &grouper.config);
    let components = explanation.as_object_mut().and_then(|map| map.remove("components")).unwrap_or_default();
    let known: Vec<&str> = record["hashes"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    let variant = |variant: &Variant| {
        let hash = variant.hash.as_ref().map(|hash| stdx::hex::encode(hash));
        GroupingVariant {
            is_new: hash.as_deref().is_some_and(|hash| !known.is_empty() && !known.contains(&hash)),
            component: components.get(variant.name).cloned().unwrap_or_default(),
            name: variant.name.to_owned(),
            contributes: variant.contributes,
            hint: variant.hint.map(str::to_owned),
            hash,
        }
    };
    EventGrouping {
        config: grouper.config.name.as_str().to_owned(),
        variants: grouping.variants.iter().map(variant).collect(),
        hashes: grouping.hashes.iter().map(|hash| stdx::hex::encode(hash)).collect(),
        stored: record.clone(),
        explanation,
    }
}
