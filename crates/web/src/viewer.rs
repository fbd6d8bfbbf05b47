//! Who looks at a page, from the session cookie; and what their browser said about theme and place.

use crate::cookies::{self, NOTICE_COOKIE, THEME_COOKIE};
use crate::error::PageError;
use crate::state::{ClientAddress, WebState};
use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use ops::{Actor, Caller, Channel, UserActor};
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use stdx::Timestamp;

/// A person with a session. Extracting one sends everybody else to the login page.
pub struct Viewer {
    pub caller: Caller,
    pub user: Arc<UserActor>,
    pub browser: Browser,
    /// Names the session; opens nothing.
    pub session_id: String,
    pub now: Timestamp,
}

/// What is known of the browser whoever uses it.
#[derive(Clone, Debug)]
pub struct Browser {
    /// Path and query of this page, to come back to.
    pub path: String,
    pub theme: Theme,
    pub notice: Option<String>,
    pub address: IpAddr,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Theme {
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub const ALL: [Theme; 3] = [Theme::Auto, Theme::Light, Theme::Dark];

    pub fn as_str(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    pub fn label(self) -> &'static str {
        match self {
            Theme::Auto => "Auto",
            Theme::Light => "Light",
            Theme::Dark => "Dark",
        }
    }

    /// Returns the theme named `text`; anything unknown is the automatic one.
    pub fn parse(text: &str) -> Theme {
        Theme::ALL.into_iter().find(|theme| theme.as_str() == text).unwrap_or_default()
    }
}

impl FromRequestParts<WebState> for Viewer {
    type Rejection = PageError;

    async fn from_request_parts(parts: &mut Parts, state: &WebState) -> Result<Viewer, PageError> {
        let browser = Browser::of(parts);
        match actor(&parts.headers, state).await? {
            Actor::User(user) => {
                let token = cookies::read(&parts.headers, ops::sessions::SESSION_COOKIE).unwrap_or_default();
                let session_id = ops::sessions::id_of_token(token);
                let caller = Caller::new(Actor::User(user.clone()), Channel::Page);
                Ok(Viewer { caller, user, browser, session_id, now: state.ops.clock.now() })
            }
            Actor::Anonymous | Actor::System => {
                // Only a page can be come back to; a form cannot.
                let next = if parts.method == Method::GET { browser.path } else { String::new() };
                Err(PageError::LoginNeeded { next })
            }
        }
    }
}

impl FromRequestParts<WebState> for Browser {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &WebState) -> Result<Browser, Infallible> {
        Ok(Browser::of(parts))
    }
}

impl Browser {
    fn of(parts: &Parts) -> Browser {
        let address = parts.extensions.get::<ClientAddress>().map(|address| address.0);
        Browser {
            path: parts.uri.path_and_query().map(|path| path.as_str().to_owned()).unwrap_or_else(|| "/".to_owned()),
            theme: cookies::read(&parts.headers, THEME_COOKIE).map(Theme::parse).unwrap_or_default(),
            notice: cookies::read(&parts.headers, NOTICE_COOKIE).map(str::to_owned),
            address: address.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)),
        }
    }

    pub fn of_request<B>(request: &axum::http::Request<B>) -> Browser {
        let (mut parts, ()) = axum::http::Request::new(()).into_parts();
        parts.uri = request.uri().clone();
        parts.headers = request.headers().clone();
        Browser::of(&parts)
    }
}

/// Returns who holds the request's session.
pub async fn actor(headers: &HeaderMap, state: &WebState) -> Result<Actor, PageError> {
    match cookies::read(headers, ops::sessions::SESSION_COOKIE) {
        Some(token) if !token.is_empty() => Ok(ops::sessions::lookup(&state.ops, token).await?),
        _ => Ok(Actor::Anonymous),
    }
}
