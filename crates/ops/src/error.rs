//! Why an operation was refused or failed. Each variant names its HTTP status, the text a client may see and the level
//! to log it at; nothing is converted into it without saying so.

use crate::Scope;
use crate::permissions::Permission;
use std::time::Duration;

/// How Sentry begins the body of a 403; ours goes on with the reason.
const NOT_PERMITTED: &str = "You do not have permission to perform this action.";

/// Why an operation was refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    #[error("credentials were not provided")]
    Unauthenticated,
    #[error("the token is not known or no longer valid")]
    InvalidToken,
    #[error("email or password is wrong")]
    WrongPassword,
    #[error("scope {} is missing", scope.as_str())]
    Forbidden { scope: Scope },
    #[error("only superusers may")]
    SuperuserNeeded,
    #[error("permission {} is missing", permission.as_str())]
    PermissionMissing { permission: Permission },
    /// The actor may do such things, but not this one.
    #[error("the operation was refused: {detail}")]
    Refused { detail: String },
    #[error("no such object, or none the actor may see")]
    NotFound,
    #[error("the input is not valid: {detail}")]
    Invalid { detail: String },
    #[error("the object exists already: {detail}")]
    Conflict { detail: String },
    /// Whether it was done is not known.
    #[error("the deadline passed")]
    TimedOut,
    #[error("too many attempts")]
    RateLimited { retry_after: Duration },
    /// The queue does not answer, or refused.
    #[error("{what}")]
    Queue { what: &'static str, source: queue::QueueError },
    #[error("{what}")]
    Store { what: &'static str, source: Box<dyn std::error::Error + Send + Sync> },
}

impl ApiError {
    pub fn invalid(detail: impl Into<String>) -> ApiError {
        ApiError::Invalid { detail: detail.into() }
    }

    pub fn refused(detail: impl Into<String>) -> ApiError {
        ApiError::Refused { detail: detail.into() }
    }

    /// Returns a closure for `map_err`: what was attempted when the store (or the queue) failed.
    pub fn store<E: Into<Box<dyn std::error::Error + Send + Sync>>>(what: &'static str) -> impl FnOnce(E) -> ApiError {
        move |source| ApiError::Store { what, source: source.into() }
    }

    /// Returns the HTTP status.
    pub fn status(&self) -> u16 {
        match self {
            ApiError::Unauthenticated | ApiError::InvalidToken | ApiError::WrongPassword => 401,
            ApiError::Forbidden { .. }
            | ApiError::SuperuserNeeded
            | ApiError::PermissionMissing { .. }
            | ApiError::Refused { .. } => 403,
            ApiError::NotFound => 404,
            ApiError::Invalid { .. } => 400,
            ApiError::Conflict { .. } => 409,
            ApiError::RateLimited { .. } => 429,
            ApiError::TimedOut | ApiError::Queue { .. } => 503,
            ApiError::Store { .. } => 500,
        }
    }

    /// Returns the text for the client (`{"detail": …}`); it never shows internals.
    pub fn detail(&self) -> String {
        match self {
            ApiError::Unauthenticated => "Authentication credentials were not provided.".to_owned(),
            ApiError::InvalidToken => "Invalid token".to_owned(),
            ApiError::WrongPassword => "Email or password is wrong.".to_owned(),
            ApiError::Forbidden { scope } => {
                format!("{NOT_PERMITTED} It needs the scope {}, by role and by token.", scope.as_str())
            }
            ApiError::SuperuserNeeded => format!("{NOT_PERMITTED} Only superusers may."),
            ApiError::PermissionMissing { permission } => {
                let name = permission.as_str();
                format!("{NOT_PERMITTED} It needs the permission {name}: vigie permissions add -u USER -p {name}.")
            }
            ApiError::NotFound => "The requested resource does not exist".to_owned(),
            ApiError::Invalid { detail } | ApiError::Conflict { detail } | ApiError::Refused { detail } => {
                detail.clone()
            }
            ApiError::TimedOut => "It took too long. Whether it was done is not known.".to_owned(),
            ApiError::RateLimited { .. } => "Too many attempts. Try again later.".to_owned(),
            ApiError::Queue { what, source } => format!("Could not {what}: {source}."),
            ApiError::Store { .. } => "Internal error".to_owned(),
        }
    }

    /// Returns the level to log it at, or `None` for what a client may do all day.
    pub fn log_level(&self) -> Option<tracing::Level> {
        match self {
            ApiError::Unauthenticated
            | ApiError::NotFound
            | ApiError::Invalid { .. }
            | ApiError::Conflict { .. }
            | ApiError::Forbidden { .. }
            | ApiError::SuperuserNeeded
            | ApiError::PermissionMissing { .. }
            | ApiError::Refused { .. } => None,
            ApiError::InvalidToken | ApiError::WrongPassword => Some(tracing::Level::DEBUG),
            ApiError::RateLimited { .. } | ApiError::TimedOut => Some(tracing::Level::WARN),
            ApiError::Queue { .. } | ApiError::Store { .. } => Some(tracing::Level::ERROR),
        }
    }
}
