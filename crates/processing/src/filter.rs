//! Inbound filters: what a project does not want stored. They look at the normalised event before it is scrubbed, in a
//! fixed order; the first that takes it is the reason in its receipt. Rules and names are Sentry's.
//!
//! A filter that cannot tell keeps the event: filters fail towards storing.

mod browsers;
mod crawlers;
mod csp;
mod extensions;
mod globs;
mod known_errors;
mod localhost;
mod need;

use crate::normalise::{Context, user_agent_of};
use globs::Globs;
use protocol::event::Event;
use protocol::json::Value;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;
use stdx::Network;

pub use browsers::LegacyBrowser;

/// Entries of one list.
const ENTRIES_MAX: usize = 500;
const ENTRY_CHARS_MAX: usize = 500;

/// Names of transactions that only ask whether the program is there.
const HEALTH_CHECKS: &[&str] = &[
    "*healthcheck*",
    "*healthy*",
    "live",
    "live[z/-]*",
    "*[/-]live",
    "*[/-]livez",
    "ready",
    "ready[z/-]*",
    "*[/-]ready",
    "*[/-]readyz",
    "*heartbeat*",
    "*/health",
    "*/health/",
    "*/healthz",
    "*/health_check",
    "*/health-check",
    "*/_health",
    "*/_health/",
    "*/ping",
    "*/up",
    "*/status",
];

/// Which filters a project has. Stored as JSON: a field that is added needs a default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Settings {
    pub browser_extensions: bool,
    pub localhost: bool,
    pub web_crawlers: bool,
    pub legacy_browsers: Vec<LegacyBrowser>,
    /// Transactions of health checks; errors in them are kept.
    pub health_checks: bool,
    pub react_hydration_errors: bool,
    pub chunk_load_errors: bool,
    /// Addresses and networks such as `10.0.0.0/8`.
    pub ip_addresses: Vec<String>,
    /// Globs.
    pub releases: Vec<String>,
    /// Globs on `Type: value` and on messages.
    pub error_messages: Vec<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            browser_extensions: false,
            localhost: false,
            web_crawlers: false,
            legacy_browsers: Vec::new(),
            health_checks: true,
            react_hydration_errors: true,
            chunk_load_errors: true,
            ip_addresses: Vec::new(),
            releases: Vec::new(),
            error_messages: Vec::new(),
        }
    }
}

/// Why settings cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    #[error("at most {ENTRIES_MAX} entries of at most {ENTRY_CHARS_MAX} characters")]
    TooMany,
    #[error("'{0}' is no address and no network")]
    Address(String),
    #[error("'{pattern}' is no pattern: {what}")]
    Pattern { pattern: String, what: String },
    #[error("the patterns of a list cannot be used together: {0}")]
    PatternsTogether(String),
}

/// Why an event is filtered. The names are those of Sentry's outcomes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    InvalidCsp,
    IpAddress,
    ReleaseVersion,
    ErrorMessage,
    Localhost,
    BrowserExtensions,
    LegacyBrowsers,
    WebCrawlers,
    FilteredTransaction,
    ReactHydrationErrors,
    ChunkLoadError,
}

impl Reason {
    pub const fn as_str(self) -> &'static str {
        match self {
            Reason::InvalidCsp => "invalid-csp",
            Reason::IpAddress => "ip-address",
            Reason::ReleaseVersion => "release-version",
            Reason::ErrorMessage => "error-message",
            Reason::Localhost => "localhost",
            Reason::BrowserExtensions => "browser-extensions",
            Reason::LegacyBrowsers => "legacy-browsers",
            Reason::WebCrawlers => "web-crawlers",
            Reason::FilteredTransaction => "filtered-transaction",
            Reason::ReactHydrationErrors => "react-hydration-errors",
            Reason::ChunkLoadError => "chunk-load-error",
        }
    }
}

/// A project's filters, ready for use.
pub struct Filters {
    settings: Settings,
    networks: Vec<Network>,
    releases: Globs,
    error_messages: Globs,
    health_checks: Globs,
}

/// A filter: the reason it gives, and whether it takes the event.
type Filter = (Reason, fn(&Filters, &Event<'_>, &Context<'_>) -> bool);

const FILTERS: &[Filter] = &[
    (Reason::InvalidCsp, |_, event, _| csp::is_foreign(event)),
    (Reason::IpAddress, Filters::has_listed_address),
    (Reason::ReleaseVersion, |filters, event, _| {
        event.release.as_deref().is_some_and(|release| filters.releases.match_any(release))
    }),
    (Reason::ErrorMessage, |filters, event, _| filters.has_listed_message(event)),
    (Reason::Localhost, |filters, event, _| filters.settings.localhost && localhost::is_local(event)),
    (Reason::BrowserExtensions, |filters, event, _| {
        filters.settings.browser_extensions && extensions::is_of_extension(event)
    }),
    (Reason::LegacyBrowsers, |filters, event, context| {
        let listed = &filters.settings.legacy_browsers;
        !listed.is_empty()
            && user_agent_of(event, context.user_agent).is_some_and(|text| browsers::is_legacy(text, listed))
    }),
    (Reason::WebCrawlers, |filters, event, context| {
        filters.settings.web_crawlers && user_agent_of(event, context.user_agent).is_some_and(crawlers::is_crawler)
    }),
    (Reason::FilteredTransaction, |filters, event, _| filters.is_health_check(event)),
    (Reason::ReactHydrationErrors, |filters, event, _| {
        filters.settings.react_hydration_errors && known_errors::is_react_hydration(event)
    }),
    (Reason::ChunkLoadError, |filters, event, _| {
        filters.settings.chunk_load_errors && known_errors::is_chunk_load(event)
    }),
];

impl Filters {
    /// # Errors
    /// When an entry of a list cannot be read, or there are too many.
    pub fn new(settings: &Settings) -> Result<Filters, SettingsError> {
        for list in [&settings.ip_addresses, &settings.releases, &settings.error_messages] {
            if list.len() > ENTRIES_MAX || list.iter().any(|entry| entry.chars().count() > ENTRY_CHARS_MAX) {
                return Err(SettingsError::TooMany);
            }
        }
        let network = |text: &String| Network::parse(text).ok_or_else(|| SettingsError::Address(text.clone()));
        let health_checks: Vec<String> = HEALTH_CHECKS.iter().map(|&pattern| pattern.to_owned()).collect();
        Ok(Filters {
            networks: settings.ip_addresses.iter().map(network).collect::<Result<_, _>>()?,
            releases: Globs::new(&settings.releases)?,
            error_messages: Globs::new(&settings.error_messages)?,
            health_checks: Globs::new(&health_checks)?,
            settings: settings.clone(),
        })
    }

    /// Returns whether `reason` is to be asked about an event that was sent so: if not, no filter takes it.
    pub fn may_take(&self, event: &Value<'_>) -> bool {
        need::of_all(&self.settings) || event.as_object().is_some_and(need::of_some)
    }

    /// Returns why the event is not to be stored, if so. `event` is normalised and not yet scrubbed.
    pub fn reason(&self, event: &Event<'_>, context: &Context<'_>) -> Option<Reason> {
        FILTERS.iter().find(|(_, takes)| takes(self, event, context)).map(|(reason, _)| *reason)
    }

    fn has_listed_address(&self, event: &Event<'_>, context: &Context<'_>) -> bool {
        if self.networks.is_empty() {
            return false;
        }
        let of_user = event.user.as_ref().and_then(|user| user.ip_address.as_deref());
        let addresses = context.client_ip.into_iter().chain(of_user.and_then(|text| text.parse::<IpAddr>().ok()));
        addresses.into_iter().any(|address| self.networks.iter().any(|network| network.holds(address)))
    }

    fn has_listed_message(&self, event: &Event<'_>) -> bool {
        if self.error_messages.is_empty() {
            return false;
        }
        let entry = event.logentry.as_ref();
        let message = entry.and_then(|entry| entry.formatted.as_deref().or(entry.message.as_deref()));
        if message.is_some_and(|message| self.error_messages.match_any(message)) {
            return true;
        }
        event.exceptions.iter().flatten().any(|exception| {
            let text = match (exception.kind.as_deref(), exception.value.as_deref()) {
                (Some(kind), Some(value)) => format!("{kind}: {value}"),
                (Some(text), None) | (None, Some(text)) => text.to_owned(),
                (None, None) => return false,
            };
            self.error_messages.match_any(&text)
        })
    }

    fn is_health_check(&self, event: &Event<'_>) -> bool {
        let is_transaction = event.kind.as_deref() == Some("transaction");
        let name = event.transaction.as_deref();
        self.settings.health_checks && is_transaction && name.is_some_and(|name| self.health_checks.match_any(name))
    }
}
