//! Login sessions of the pages: log in, look up, log out. The cookie carries a random token; the store its hash.

use crate::{Actor, ApiError, Ops, UserActor};
use std::net::IpAddr;
use stdx::{Redacted, Timestamp};

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

/// Checks email and password and opens a session.
///
/// # Errors
/// `WrongPassword` (whatever was wrong), `RateLimited` after too many attempts.
pub async fn log_in(_cx: &Ops, _input: LogIn) -> Result<LoggedIn, ApiError> {
    Err(ApiError::NotFound)
}

/// Returns who holds the session, and moves its expiry on; `Anonymous` for a token that is not known or has expired.
pub async fn lookup(_cx: &Ops, _token: &str) -> Result<Actor, ApiError> {
    Err(ApiError::NotFound)
}

/// Ends the session; an unknown one is no error.
pub async fn log_out(_cx: &Ops, _token: &str) -> Result<(), ApiError> {
    Err(ApiError::NotFound)
}
