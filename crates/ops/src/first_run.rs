//! The first start on an empty data directory: organization, project, key and somebody who may log in.

use crate::audit::{self, Note};
use crate::{Actor, ApiError, Caller, Ops, passwords, permissions};
use stdx::Redacted;

/// Letters and digits of the first password: 32 possibilities each, so 80 bits.
const PASSWORD_CHARS: usize = 16;

/// The first login, shown once.
#[derive(Clone, Debug)]
pub struct FirstLogin {
    pub email: &'static str,
    pub password: Redacted<String>,
}

/// Creates the first objects unless there are some, and returns the login it made; `None` if nothing was needed. Roles
/// that start at the same moment make them once: one transaction looks and creates. For the system only.
///
/// # Errors
/// `NotFound` for anybody but the system; else if the store cannot be written.
pub async fn set_up(cx: &Ops, caller: &Caller) -> Result<Option<FirstLogin>, ApiError> {
    if !matches!(caller.actor(), Actor::System) {
        return Err(ApiError::NotFound);
    }
    // Hashing costs more than looking, and most starts are not the first.
    if !cx.read("look for a first organization", |tx| Ok(store::first_run::is_needed(tx)?)).await? {
        return Ok(None);
    }
    let password = Redacted::new(stdx::random::password(PASSWORD_CHARS));
    let (now, hash) = (cx.clock.now(), passwords::hash(&password).await?);
    let caller = caller.clone();
    let is_made = cx
        .write("create the first objects", move |tx| {
            if !store::first_run::create(tx, &hash, now)? {
                return Ok(false);
            }
            if let Some(admin) = store::users::by_email(tx, store::first_run::EMAIL)? {
                permissions::follow_status(tx, &admin, false, now)?;
                audit::note(tx, &caller, &Note::new("user.create", &admin.email).detail("the first superuser"), now)?;
            }
            Ok(true)
        })
        .await?;
    Ok(is_made.then_some(FirstLogin { email: store::first_run::EMAIL, password }))
}
