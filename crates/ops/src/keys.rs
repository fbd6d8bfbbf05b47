//! Client keys (DSNs) of a project: list, create, enable and disable, delete.

use crate::audit::{self, Note};
use crate::context::Failure;
use crate::projects::ProjectRef;
use crate::{Actor, ApiError, Caller, Ops, Scope, lookup, shapes};
use db::Tx;
use stdx::Timestamp;
use store::keys::KeyRow;

#[derive(Clone, Debug)]
pub struct Key {
    pub id: i64,
    pub project_id: i64,
    pub public_key: String,
    pub secret_key: String,
    pub label: String,
    pub is_active: bool,
    pub created_at: Timestamp,
    /// The DSN for SDKs, made with the public address of this moment.
    pub dsn_public: String,
}

#[derive(Clone, Debug)]
pub struct CreateKey {
    pub project: ProjectRef,
    pub label: Option<String>,
}

/// Which key of which project, by public key or id text.
#[derive(Clone, Debug)]
pub struct KeyRef {
    pub project: ProjectRef,
    pub key: String,
}

#[derive(Clone, Debug)]
pub struct UpdateKey {
    pub key: KeyRef,
    pub label: Option<String>,
    pub is_active: Option<bool>,
}

/// Longest label.
const LABEL_CHARS_MAX: usize = 64;
/// Most keys of a project: all are held in memory by ingest.
const KEYS_MAX: usize = 100;

/// Returns a project's keys, oldest first.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's.
pub async fn list(cx: &Ops, actor: &Actor, input: &ProjectRef) -> Result<Vec<Key>, ApiError> {
    let (actor, input, public_url) = (actor.clone(), input.clone(), cx.public_url());
    cx.read("list keys", move |tx| {
        let project = lookup::project(tx, &actor, &input.org, &input.project, Scope::ProjectRead)?;
        let rows = store::keys::list(tx, project.id)?;
        Ok(rows.into_iter().map(|row| key(row, &public_url)).collect())
    })
    .await
}

/// Creates a key with random texts.
///
/// # Errors
/// `NotFound` as for `list`, `Invalid` for an overlong label or one key too many.
pub async fn create(cx: &Ops, caller: &Caller, input: CreateKey) -> Result<Key, ApiError> {
    let label = checked_label(input.label.as_deref().unwrap_or("Default"))?;
    let (now, caller, public_url) = (cx.clock.now(), caller.clone(), cx.public_url());
    cx.write("create a key", move |tx| {
        let ProjectRef { org, project } = &input.project;
        let project = lookup::project(tx, &caller, org, project, Scope::ProjectWrite)?;
        if store::keys::list(tx, project.id)?.len() >= KEYS_MAX {
            return Err(ApiError::invalid(format!("A project has at most {KEYS_MAX} keys.")).into());
        }
        let row = store::keys::create(tx, project.organization.id, project.id, &label, now)?;
        audit::note(tx, &caller, &entry("key.create", &input.project, &row), now)?;
        Ok(key(row, &public_url))
    })
    .await
}

/// Returns one key.
///
/// # Errors
/// `NotFound` if it is not the project's.
pub async fn get(cx: &Ops, actor: &Actor, input: &KeyRef) -> Result<Key, ApiError> {
    let (actor, input, public_url) = (actor.clone(), input.clone(), cx.public_url());
    cx.read("read a key", move |tx| Ok(key(find(tx, &actor, &input, Scope::ProjectRead)?, &public_url))).await
}

/// Changes a key's label and state. Ingest notices within seconds.
///
/// # Errors
/// `NotFound` if it is not the project's.
pub async fn update(cx: &Ops, caller: &Caller, input: UpdateKey) -> Result<Key, ApiError> {
    let label = input.label.as_deref().map(checked_label).transpose()?;
    let (caller, public_url, now) = (caller.clone(), cx.public_url(), cx.clock.now());
    cx.write("change a key", move |tx| {
        let mut row = find(tx, &caller, &input.key, Scope::ProjectWrite)?;
        row.label = label.unwrap_or(row.label);
        row.is_active = input.is_active.unwrap_or(row.is_active);
        store::keys::update(tx, row.project_id, row.id, &row.label, row.is_active)?;
        let state = if row.is_active { "active" } else { "disabled" };
        audit::note(tx, &caller, &entry("key.update", &input.key.project, &row).detail(state), now)?;
        Ok(key(row, &public_url))
    })
    .await
}

/// Deletes a key; SDKs that use it are refused from then on.
///
/// # Errors
/// `NotFound` if it is not the project's.
pub async fn delete(cx: &Ops, caller: &Caller, input: &KeyRef) -> Result<(), ApiError> {
    let (caller, input, now) = (caller.clone(), input.clone(), cx.clock.now());
    cx.write("delete a key", move |tx| {
        let row = find(tx, &caller, &input, Scope::ProjectWrite)?;
        store::keys::delete(tx, row.project_id, row.id)?;
        audit::note(tx, &caller, &entry("key.delete", &input.project, &row), now)
    })
    .await
}

fn find(tx: &mut Tx<'_>, actor: &Actor, input: &KeyRef, scope: Scope) -> Result<KeyRow, Failure> {
    let project = lookup::project(tx, actor, &input.project.org, &input.project.project, scope)?;
    let rows = store::keys::list(tx, project.id)?;
    let is_it = |row: &KeyRow| row.public_key == input.key || row.id.to_string() == input.key;
    rows.into_iter().find(is_it).ok_or_else(|| ApiError::NotFound.into())
}

/// A public key is in every DSN that was handed out: it is no secret, and tells keys apart.
fn entry(action: &'static str, project: &ProjectRef, row: &KeyRow) -> Note {
    let target = format!("{} ({}) of {}/{}", row.label, row.public_key, project.org, project.project);
    Note::new(action, &target).of_organization(row.org_id)
}

fn checked_label(label: &str) -> Result<String, ApiError> {
    let label = label.trim();
    if label.is_empty() || label.chars().count() > LABEL_CHARS_MAX {
        return Err(ApiError::invalid(format!("name: 1 to {LABEL_CHARS_MAX} characters are expected.")));
    }
    Ok(label.to_owned())
}

fn key(row: KeyRow, public_url: &str) -> Key {
    Key {
        dsn_public: shapes::dsn(public_url, &row.public_key, row.project_id),
        id: row.id,
        project_id: row.project_id,
        public_key: row.public_key,
        secret_key: row.secret_key,
        label: row.label,
        is_active: row.is_active,
        created_at: row.created_at,
    }
}
