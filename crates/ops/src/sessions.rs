//! Login sessions of the pages: log in, look up, list, log out. The cookie carries a random token; the store its hash.

use crate::{Actor, ApiError, Ops, UserActor, passwords, users};
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use stdx::{Redacted, Timestamp};
use store::sessions::SessionRow;

/// The cookie's name.
pub const SESSION_COOKIE: &str = "vigie_session";

#[derive(Clone, Debug)]
pub struct LogIn {
    pub email: String,
    pub password: Redacted<String>,
    /// Where the request came from, for the limit on attempts.
    pub address: IpAddr,
    pub user_agent: String,
}

/// A session just opened.
#[derive(Clone, Debug)]
pub struct LoggedIn {
    /// The cookie's value, 64 hexadecimal digits.
    pub token: Redacted<String>,
    pub expires_at: Timestamp,
    pub user: UserActor,
}

/// A session ends after so long without a visit.
const IDLE_MAX: Duration = Duration::from_secs(14 * 24 * 3_600);
/// A session ends after so long whatever happens.
const AGE_MAX: Duration = Duration::from_secs(90 * 24 * 3_600);
/// The expiry moves on in steps, so that reading a page is rarely a write.
const TOUCH_EVERY: Duration = Duration::from_secs(3_600);
/// Longest user agent kept.
const USER_AGENT_CHARS_MAX: usize = 200;

/// Checks email and password and opens a session.
///
/// # Errors
/// `WrongPassword` (whatever was wrong), `RateLimited` after too many attempts.
pub async fn log_in(cx: &Ops, input: LogIn) -> Result<LoggedIn, ApiError> {
    // An email that cannot exist costs an attempt like any other.
    let email = input.email.trim().to_lowercase();
    let now = cx.clock.now();
    cx.login_limits.take(input.address, &email, now)?;
    let wanted = email.clone();
    let row = cx.read("look a user up", move |tx| Ok(store::users::by_email(tx, &wanted)?)).await?;
    let row = row.filter(|row| row.is_active);
    let hash = row.as_ref().and_then(|row| row.password_hash.clone());
    let is_right = passwords::is_right(&input.password, hash).await?;
    let Some(row) = row.filter(|_| is_right) else { return Err(ApiError::WrongPassword) };
    cx.login_limits.forgive(input.address, &email);
    open(cx, row.id, &input.user_agent, now).await
}

async fn open(cx: &Ops, user_id: i64, user_agent: &str, now: Timestamp) -> Result<LoggedIn, ApiError> {
    let token = stdx::random::hex::<32>();
    let session = SessionRow {
        token_hash: hash(&token),
        user_id,
        created_at: now,
        last_seen_at: now,
        expires_at: now.plus(IDLE_MAX),
        user_agent: user_agent.chars().take(USER_AGENT_CHARS_MAX).collect(),
    };
    let expires_at = session.expires_at;
    let user = cx
        .write("open a session", move |tx| {
            store::sessions::create(tx, &session)?;
            store::users::set_last_login(tx, user_id, now)?;
            users::actor_of(tx, user_id, None)?.ok_or_else(|| ApiError::WrongPassword.into())
        })
        .await?;
    Ok(LoggedIn { token: Redacted::new(token), expires_at, user })
}

/// Returns who holds the session, and moves its expiry on; `Anonymous` for a token that is not known or has expired.
///
/// # Errors
/// Only if the store cannot be read.
pub async fn lookup(cx: &Ops, token: &str) -> Result<Actor, ApiError> {
    if stdx::hex::decode::<32>(token).is_none() {
        return Ok(Actor::Anonymous);
    }
    let (now, token_hash) = (cx.clock.now(), hash(token));
    let found = cx
        .read("look a session up", move |tx| {
            let Some(session) = store::sessions::find(tx, &token_hash, now)? else { return Ok(None) };
            Ok(users::actor_of(tx, session.user_id, None)?.map(|user| (session, user)))
        })
        .await?;
    let Some((session, user)) = found else { return Ok(Actor::Anonymous) };
    if now.since(session.last_seen_at) >= TOUCH_EVERY {
        touch(cx, &session, now).await;
    }
    Ok(Actor::User(Arc::new(user)))
}

/// A store that can only be read still shows its pages: the session just does not last longer.
async fn touch(cx: &Ops, session: &SessionRow, now: Timestamp) {
    let token_hash = session.token_hash;
    let expires_at = now.plus(IDLE_MAX).min(session.created_at.plus(AGE_MAX));
    let touched =
        cx.write("keep a session", move |tx| Ok(store::sessions::touch(tx, &token_hash, now, expires_at)?)).await;
    if let Err(error) = touched {
        tracing::warn!(error = %error, "session expiry not moved on");
    }
}

/// Ends the session; an unknown one is no error.
///
/// # Errors
/// Only if the store cannot be written.
pub async fn log_out(cx: &Ops, token: &str) -> Result<(), ApiError> {
    let token_hash = hash(token);
    cx.write("end a session", move |tx| {
        store::sessions::delete(tx, &token_hash)?;
        Ok(())
    })
    .await
}

/// One of the actor's sessions.
#[derive(Clone, Debug)]
pub struct Session {
    /// Names the session and opens nothing: it is made from the token's hash.
    pub id: String,
    pub user_agent: String,
    pub created_at: Timestamp,
    pub last_seen_at: Timestamp,
}

/// Returns the actor's sessions that have not expired, in the store's order; the system has none.
///
/// # Errors
/// `Unauthenticated` for nobody.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<Session>, ApiError> {
    Ok(rows_of(cx, actor).await?.into_iter().map(Session::of).collect())
}

/// Ends one of the actor's sessions, by its id.
///
/// # Errors
/// `NotFound` if the actor has no such session.
pub async fn end(cx: &Ops, actor: &Actor, id: &str) -> Result<(), ApiError> {
    let rows = rows_of(cx, actor).await?;
    let token_hash = rows.iter().find(|row| Session::id_of(row) == id).ok_or(ApiError::NotFound)?.token_hash;
    cx.write("end a session", move |tx| {
        store::sessions::delete(tx, &token_hash)?;
        Ok(())
    })
    .await
}

/// Returns the id of the session that a cookie's token opens, to tell it from the others.
pub fn id_of_token(token: &str) -> String {
    stdx::hex::encode(&hash(token)[..SESSION_ID_BYTES])
}

/// Enough of the hash to tell a person's sessions apart.
const SESSION_ID_BYTES: usize = 8;

impl Session {
    fn of(row: SessionRow) -> Session {
        Session {
            id: Session::id_of(&row),
            user_agent: row.user_agent,
            created_at: row.created_at,
            last_seen_at: row.last_seen_at,
        }
    }

    fn id_of(row: &SessionRow) -> String {
        stdx::hex::encode(&row.token_hash[..SESSION_ID_BYTES])
    }
}

async fn rows_of(cx: &Ops, actor: &Actor) -> Result<Vec<SessionRow>, ApiError> {
    actor.require_known()?;
    let Some(user_id) = actor.user_id() else { return Ok(Vec::new()) };
    let now = cx.clock.now();
    cx.read("list sessions", move |tx| Ok(store::sessions::list(tx, user_id, now)?)).await
}

fn hash(token: &str) -> [u8; 32] {
    Sha256::digest(token.as_bytes()).into()
}
