//! The audit log: who changed what, when and by which way. An entry stands in the transaction of its change, so neither
//! is there without the other; what is changed in the queue is noted right after it is done.

use crate::context::Failure;
use crate::page::Cursor;
use crate::{Actor, ApiError, Caller, Ops, Page, PageRequest, Scope, lookup};
use db::Tx;
use stdx::Timestamp;
use store::audit::{ListQuery, NewEntry};

pub use store::audit::AuditRow as Entry;

/// Characters of a target or a detail that are kept.
const TEXT_CHARS_MAX: usize = 500;

/// What is to be noted of a change.
#[derive(Clone, Debug)]
pub struct Note {
    action: &'static str,
    target: String,
    detail: String,
    org_id: Option<i64>,
}

impl Note {
    /// `action` is `noun.verb`, `target` the object in people's words. No secret belongs in either.
    pub fn new(action: &'static str, target: &str) -> Note {
        Note { action, target: cut(target), detail: String::new(), org_id: None }
    }

    #[must_use]
    pub fn detail(mut self, detail: &str) -> Note {
        self.detail = cut(detail);
        self
    }

    /// Shows the entry to the organization's own log as well.
    #[must_use]
    pub fn of_organization(mut self, org_id: i64) -> Note {
        self.org_id = Some(org_id);
        self
    }
}

fn cut(text: &str) -> String {
    text.chars().take(TEXT_CHARS_MAX).collect()
}

/// Writes an entry, within the transaction of the change.
pub(crate) fn note(tx: &mut Tx<'_>, caller: &Caller, note: &Note, now: Timestamp) -> Result<(), Failure> {
    let Note { action, target, detail, org_id } = note;
    let entry = NewEntry {
        actor: &caller.actor_name(),
        actor_id: caller.user_id(),
        channel: caller.channel().as_str(),
        request_id: caller.request_id(),
        org_id: *org_id,
        action,
        target,
        detail,
    };
    Ok(store::audit::insert(tx, &entry, now)?)
}

/// Writes an entry on its own, for a change that is not in the metadata store.
///
/// # Errors
/// If the store cannot be written.
pub async fn note_alone(cx: &Ops, caller: &Caller, what: Note) -> Result<(), ApiError> {
    let (caller, now) = (caller.clone(), cx.clock.now());
    cx.write("note an act", move |tx| note(tx, &caller, &what, now)).await
}

/// Returns a page of the log, the newest first: of one organization for whoever may write there, else of everything for
/// superusers.
///
/// # Errors
/// `SuperuserNeeded`, `NotFound` or `Forbidden` as said, `Invalid` for a cursor that is none.
pub async fn list(cx: &Ops, actor: &Actor, org: Option<&str>, page: &PageRequest) -> Result<Page<Entry>, ApiError> {
    if org.is_none() {
        actor.require_superuser()?;
    }
    let (cursor, limit) = (page.cursor()?, page.limit());
    let (actor, org) = (actor.clone(), org.map(str::to_owned));
    let rows = cx
        .read("read the audit log", move |tx| {
            let organization = match &org {
                Some(org) => Some(lookup::organization(tx, &actor, org, Scope::OrgWrite)?),
                None => None,
            };
            let query = ListQuery {
                org_id: organization.map(|organization| organization.id),
                bound: cursor.map(|cursor: Cursor| cursor.id),
                backwards: cursor.is_some_and(|cursor| cursor.backwards),
                limit: limit + 1,
            };
            Ok(store::audit::list(tx, query)?)
        })
        .await?;
    Ok(Page::of(rows, limit, cursor, |row| (0, row.id)))
}
