//! API tokens: create, list, revoke, authenticate. The text is shown once; the store keeps its hash.

use crate::audit::{self, Note};
use crate::{Actor, ApiError, Caller, Ops, Permission, Scope, Scopes, users};
use sha2::{Digest, Sha256};
use std::sync::Arc;
use std::time::Duration;
use stdx::{Redacted, Timestamp};
use store::tokens::{NewToken, TokenRow};

/// What every token begins with, so that scanners recognise a leaked one.
pub const TOKEN_PREFIX: &str = "vgu_";

#[derive(Clone, Debug)]
pub struct Token {
    pub id: i64,
    pub user_id: i64,
    pub user_email: String,
    /// The last four characters.
    pub hint: String,
    pub scopes: Vec<&'static str>,
    pub created_at: Timestamp,
    pub last_used_at: Option<Timestamp>,
    pub revoked_at: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub struct CreateToken {
    /// Whose token; `None` = the actor's own.
    pub email: Option<String>,
    /// Scope names; empty = all the actor may give.
    pub scopes: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct CreatedToken {
    pub token: Token,
    /// The whole text, shown this once.
    pub text: Redacted<String>,
}

/// How often the last use of a token is written down.
const USED_EVERY: Duration = Duration::from_secs(600);
/// Most tokens of one person that are not revoked.
const TOKENS_MAX: usize = 100;

/// Creates a token. A token cannot make one that allows more than itself, and making one for others needs `users.admin`.
///
/// # Errors
/// `Forbidden` for a scope the actor does not have, `Invalid` for one that does not exist.
pub async fn create(cx: &Ops, caller: &Caller, input: CreateToken) -> Result<CreatedToken, ApiError> {
    let email = owner(caller, input.email.as_deref())?;
    let scopes = granted(caller, &input.scopes)?;
    let text = format!("{TOKEN_PREFIX}{}", stdx::random::hex::<32>());
    let (now, token_hash, hint) = (cx.clock.now(), hash(&text), text[text.len() - 4..].to_owned());
    let caller = caller.clone();
    let token = cx
        .write("create a token", move |tx| {
            let no_user = || ApiError::invalid(format!("There is no user {email}."));
            let user = store::users::by_email(tx, &email)?.filter(|user| user.is_active).ok_or_else(no_user)?;
            let tokens = store::tokens::list(tx, Some(user.id))?;
            if tokens.iter().filter(|token| token.revoked_at.is_none()).count() >= TOKENS_MAX {
                return Err(ApiError::invalid(format!("A user has at most {TOKENS_MAX} tokens.")).into());
            }
            let names = scopes.names().join(" ");
            let new = NewToken { user_id: user.id, token_hash: &token_hash, hint: &hint, scopes: &names };
            let id = store::tokens::create(tx, &new, now)?;
            let note = Note::new("token.create", &format!("…{hint} of {}", user.email)).detail(&names);
            audit::note(tx, &caller, &note, now)?;
            Ok(Token {
                id,
                user_id: user.id,
                user_email: user.email,
                hint: hint.clone(),
                scopes: scopes.names(),
                created_at: now,
                last_used_at: None,
                revoked_at: None,
            })
        })
        .await?;
    Ok(CreatedToken { token, text: Redacted::new(text) })
}

/// Returns the email of the token's future owner.
fn owner(actor: &Actor, wanted: Option<&str>) -> Result<String, ApiError> {
    match (actor, wanted) {
        (Actor::Anonymous, _) => Err(ApiError::Unauthenticated),
        (Actor::User(user), None) => Ok(user.email.clone()),
        (Actor::User(user), Some(email)) if users::checked_email(email)? == user.email => Ok(user.email.clone()),
        (Actor::User(_), Some(email)) => {
            actor.require_permission(Permission::UsersAdmin)?;
            users::checked_email(email)
        }
        (Actor::System, Some(email)) => users::checked_email(email),
        (Actor::System, None) => Err(ApiError::invalid("An email is needed: whose token?")),
    }
}

/// Returns the scopes wanted, all of which the actor must have; none named = all the actor has.
fn granted(actor: &Actor, wanted: &[String]) -> Result<Scopes, ApiError> {
    let own = match actor {
        Actor::Anonymous => Scopes::default(),
        Actor::System => Scopes::all(),
        Actor::User(user) => match user.scopes {
            Some(scopes) => scopes,
            None if user.is_superuser => Scopes::all(),
            None => user.roles.iter().fold(Scopes::default(), |sum, (_, role)| sum.union(Scopes::of_role(*role))),
        },
    };
    if wanted.is_empty() {
        return Ok(own);
    }
    let mut scopes = Vec::new();
    for name in wanted {
        let scope = Scope::parse(name).ok_or_else(|| ApiError::invalid(format!("There is no scope {name}.")))?;
        if !own.allows(scope) {
            return Err(ApiError::Forbidden { scope });
        }
        scopes.push(scope);
    }
    Ok(scopes.into_iter().collect())
}

/// Returns the actor's tokens, newest first; the system sees all.
///
/// # Errors
/// `Unauthenticated` for nobody.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<Token>, ApiError> {
    actor.require_known()?;
    let user_id = actor.user_id();
    cx.read("list tokens", move |tx| Ok(store::tokens::list(tx, user_id)?.into_iter().map(token).collect())).await
}

/// Revokes one of the actor's tokens (the system: anybody's), at once.
///
/// # Errors
/// `NotFound` if there is none, or it is revoked already.
pub async fn revoke(cx: &Ops, caller: &Caller, id: i64) -> Result<(), ApiError> {
    caller.require_known()?;
    let (caller, now) = (caller.clone(), cx.clock.now());
    cx.write("revoke a token", move |tx| {
        let tokens = store::tokens::list(tx, caller.user_id())?;
        let token = tokens.into_iter().find(|token| token.id == id).ok_or(ApiError::NotFound)?;
        if !store::tokens::revoke(tx, id, now)? {
            return Err(ApiError::NotFound.into());
        }
        let note = Note::new("token.revoke", &format!("…{} of {}", token.hint, token.user_email));
        audit::note(tx, &caller, &note, now)
    })
    .await
}

/// Returns who holds the token.
///
/// # Errors
/// `InvalidToken` if it is not known, revoked, or its user inactive.
pub async fn authenticate(cx: &Ops, text: &str) -> Result<Actor, ApiError> {
    if text.strip_prefix(TOKEN_PREFIX).and_then(stdx::hex::decode::<32>).is_none() {
        return Err(ApiError::InvalidToken);
    }
    let (now, token_hash) = (cx.clock.now(), hash(text));
    let found = cx
        .read("look a token up", move |tx| {
            let row = store::tokens::by_hash(tx, &token_hash)?.filter(|row| row.revoked_at.is_none());
            let Some(row) = row else { return Ok(None) };
            let scopes = Scopes::parse_stored(&row.scopes);
            Ok(users::actor_of(tx, row.user_id, Some(scopes))?.map(|user| (row, user)))
        })
        .await?;
    let (row, user) = found.ok_or(ApiError::InvalidToken)?;
    if row.last_used_at.is_none_or(|at| now.since(at) >= USED_EVERY) {
        note_use(cx, row.id, now).await;
    }
    Ok(Actor::User(Arc::new(user)))
}

/// A store that can only be read still answers: the last use is just not written down.
async fn note_use(cx: &Ops, id: i64, now: Timestamp) {
    let noted = cx.write("note a token's use", move |tx| Ok(store::tokens::set_last_used(tx, id, now)?)).await;
    if let Err(error) = noted {
        tracing::warn!(error = %error, "use of a token not noted");
    }
}

fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

fn token(row: TokenRow) -> Token {
    Token {
        id: row.id,
        user_id: row.user_id,
        user_email: row.user_email,
        hint: row.hint,
        scopes: Scopes::parse_stored(&row.scopes).names(),
        created_at: row.created_at,
        last_used_at: row.last_used_at,
        revoked_at: row.revoked_at,
    }
}
