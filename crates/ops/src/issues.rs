//! Issues: list and search, read, tags, series, and changes of status.

mod delete;
pub(crate) mod find;
mod list;
mod merge;
mod query;
mod read;
pub(crate) mod rows;
mod update;

pub use delete::{DeleteIssues, delete};
pub use list::list;
pub use merge::{IssueHash, Lineage, MergeIssues, Merged, Part, Strand, lineage, merge, unmerge};
pub use read::{activity, get, series, tag, tags};
pub use update::update;

use crate::PageRequest;
use std::time::Duration;
use stdx::Timestamp;

/// Which issue: by id text (`17`) or short id (`SHOP-1A`); within `org` (slug or id text) where the caller named one.
#[derive(Clone, Debug)]
pub struct IssueRef {
    pub org: Option<String>,
    pub issue: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum IssueSort {
    /// Last seen first.
    #[default]
    Date,
    /// First seen first.
    New,
    /// Most events first.
    Freq,
    /// Most users first.
    User,
}

impl IssueSort {
    pub fn as_str(self) -> &'static str {
        match self {
            IssueSort::Date => "date",
            IssueSort::New => "new",
            IssueSort::Freq => "freq",
            IssueSort::User => "user",
        }
    }

    /// Returns the sort named `text`, or `None` if there is none.
    pub fn parse(text: &str) -> Option<IssueSort> {
        [IssueSort::Date, IssueSort::New, IssueSort::Freq, IssueSort::User].into_iter().find(|s| s.as_str() == text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IssueStatus {
    Unresolved,
    Resolved,
    Ignored,
}

impl IssueStatus {
    pub fn as_str(self) -> &'static str {
        match self {
            IssueStatus::Unresolved => "unresolved",
            IssueStatus::Resolved => "resolved",
            IssueStatus::Ignored => "ignored",
        }
    }

    /// Returns the status named `text` (Sentry's other names for them too), or `None` if there is none.
    pub fn parse(text: &str) -> Option<IssueStatus> {
        match text {
            "unresolved" => Some(IssueStatus::Unresolved),
            "resolved" => Some(IssueStatus::Resolved),
            "ignored" | "muted" | "archived" => Some(IssueStatus::Ignored),
            _ => None,
        }
    }
}

/// What list of issues is wanted.
#[derive(Clone, Debug, Default)]
pub struct ListIssues {
    /// Organization, by slug or id text; `None` = every organization the actor belongs to.
    pub org: Option<String>,
    /// Projects by slug or id text; empty = all of the organization.
    pub projects: Vec<String>,
    /// Query text; `None` = `is:unresolved`, an empty one = all.
    pub query: Option<String>,
    pub sort: IssueSort,
    /// Environments; empty = all.
    pub environments: Vec<String>,
    /// Series wanted with each issue.
    pub series: Option<SeriesPeriod>,
    pub page: PageRequest,
}

/// A span of time cut into steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesPeriod {
    /// 24 steps of an hour.
    Day,
    /// 14 steps of a day.
    Fortnight,
}

impl SeriesPeriod {
    pub fn as_str(self) -> &'static str {
        match self {
            SeriesPeriod::Day => "24h",
            SeriesPeriod::Fortnight => "14d",
        }
    }

    pub fn parse(text: &str) -> Option<SeriesPeriod> {
        [SeriesPeriod::Day, SeriesPeriod::Fortnight].into_iter().find(|period| period.as_str() == text)
    }

    pub fn step(self) -> Duration {
        match self {
            SeriesPeriod::Day => Duration::from_secs(3_600),
            SeriesPeriod::Fortnight => Duration::from_secs(24 * 3_600),
        }
    }

    pub fn steps(self) -> usize {
        match self {
            SeriesPeriod::Day => 24,
            SeriesPeriod::Fortnight => 14,
        }
    }
}

/// Counts at the starts of their steps, oldest first, gaps filled with zero.
pub type Series = Vec<(Timestamp, i64)>;

/// A row of the issue list, and the head of the issue page.
#[derive(Clone, Debug)]
pub struct Issue {
    pub id: i64,
    pub short_id: String,
    pub project: IssueProject,
    /// error, default or csp
    pub kind: String,
    pub title: String,
    pub culprit: String,
    /// JSON object with `type`, `value`, `filename`, `function`.
    pub metadata: serde_json::Value,
    pub platform: String,
    pub logger: String,
    pub level: String,
    pub status: IssueStatus,
    /// new, ongoing, regressed, archived or resolved
    pub substatus: String,
    pub status_at: Timestamp,
    pub is_unhandled: bool,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
    pub event_count: i64,
    pub user_count: i64,
    pub first_release: Option<String>,
    pub last_release: Option<String>,
    /// Filled where `ListIssues::series` asked for it.
    pub series: Option<(SeriesPeriod, Series)>,
    pub permalink: String,
}

#[derive(Clone, Debug)]
pub struct IssueProject {
    pub id: i64,
    pub slug: String,
    pub name: String,
    pub platform: Option<String>,
    pub org_id: i64,
    pub org_slug: String,
}

/// Events of an issue by step over a period that ends now; `environments` empty = all.
#[derive(Clone, Debug)]
pub struct IssueSeries {
    pub issue: IssueRef,
    pub period: SeriesPeriod,
    pub environments: Vec<String>,
}

/// A tag of an issue with its most frequent values.
#[derive(Clone, Debug)]
pub struct IssueTag {
    pub key: String,
    /// Events that carry the key.
    pub event_count: i64,
    /// Different values kept; more may be summed in `other_count`.
    pub value_count: i64,
    pub other_count: i64,
    /// Most frequent first.
    pub values: Vec<TagValue>,
}

#[derive(Clone, Debug)]
pub struct TagValue {
    pub value: String,
    pub event_count: i64,
    pub first_seen: Timestamp,
    pub last_seen: Timestamp,
}

/// A line of an issue's history.
#[derive(Clone, Debug)]
pub struct IssueActivity {
    pub id: i64,
    /// first_seen, set_resolved, set_unresolved, set_ignored, set_regression, merge, unmerge_source or
    /// unmerge_destination
    pub kind: String,
    pub user_name: Option<String>,
    /// Short ids of the issues that were merged or taken out.
    pub issues: Vec<String>,
    pub at: Timestamp,
}

/// A change of status of one or many issues.
#[derive(Clone, Debug)]
pub struct UpdateIssues {
    /// Organization, by slug or id text, where the caller named one.
    pub org: Option<String>,
    /// Projects, by slug or id text, where the caller named any: ids of others are passed over.
    pub projects: Vec<String>,
    /// At most 100 ids or short ids.
    pub issues: Vec<String>,
    pub status: IssueStatus,
}
