//! The table of what is kept how long. The command's models, its help and `docs/reference/retention.md` come from here.

use std::time::Duration;
use store::expiry::Aged;

const DAY: Duration = Duration::from_secs(24 * 3_600);

/// Facts about an event outlive it by this: receipts say what became of it, and a job that comes back late is known.
pub const FACTS_KEPT_DAYS: i64 = 30;
/// Counts by hour of what became of items.
const OUTCOMES_KEPT: Duration = Duration::from_secs(400 * 24 * 3_600);
/// A token that was revoked is shown so long.
const REVOKED_TOKENS_KEPT: Duration = Duration::from_secs(30 * 24 * 3_600);
/// What sweeps did.
const SWEEPS_KEPT: Duration = Duration::from_secs(400 * 24 * 3_600);
/// Who changed what: two years, so that a yearly review has the whole year before it.
const AUDIT_KEPT: Duration = Duration::from_secs(730 * 24 * 3_600);
/// Counts of an issue and of a project by hour: longer than any page's hours go back; then by day.
pub const HOURS_KEPT: Duration = Duration::from_secs(100 * 24 * 3_600);
/// Vigie's own metrics by hour.
const INTERNAL_KEPT: Duration = Duration::from_secs(31 * 24 * 3_600);
/// A release that no issue names.
const RELEASES_KEPT: Duration = Duration::from_secs(400 * 24 * 3_600);
/// Nothing refers to a blob before the change that does is committed: longer than any digest takes.
pub const ORPHANS_KEPT: Duration = DAY;

/// What can be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Model {
    Event,
    Attachment,
    Receipt,
    Digested,
    Outcome,
    Accepted,
    Series,
    Internal,
    Release,
    Project,
    Session,
    Token,
    Sweep,
    Audit,
    Blob,
}

/// Whose a model is: what `--project` can choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    Project,
    Installation,
}

/// How long a model is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kept {
    /// `system.event-retention-days`, less where a project has set less, or `--days`.
    EventDays,
    /// So many days longer than the installation's events.
    DaysBeyondEvents(i64),
    /// So long, whatever is asked for.
    For(Duration),
}

/// One line of the table.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub model: Model,
    pub name: &'static str,
    pub reach: Reach,
    pub kept: Kept,
    /// In words, for people.
    pub kept_text: &'static str,
    pub help: &'static str,
    /// The tables of the metadata that it is about.
    pub tables: &'static [&'static str],
}

/// Tables whose rows do not go by age, and why not.
#[derive(Clone, Copy, Debug)]
pub struct Unaged {
    pub because: &'static str,
    pub tables: &'static [&'static str],
}

/// What a reader looks for in the table and does not find, and how long it is kept.
#[derive(Clone, Copy, Debug)]
pub struct Elsewhere {
    pub what: &'static str,
    pub kept_text: &'static str,
}

pub const POLICIES: &[Policy] = &[
    Policy {
        model: Model::Event,
        name: "Event",
        reach: Reach::Project,
        kept: Kept::EventDays,
        kept_text: "event days",
        help: "stored events, by day of receipt; days past every project's limit are dropped whole; counts stay",
        tables: &["event_day", "group_day", "event_removal"],
    },
    Policy {
        model: Model::Attachment,
        name: "Attachment",
        reach: Reach::Project,
        kept: Kept::EventDays,
        kept_text: "event days",
        help: "attachments, and their content once nothing else refers to it",
        tables: &["attachment"],
    },
    Policy {
        model: Model::Receipt,
        name: "Receipt",
        reach: Reach::Project,
        kept: Kept::DaysBeyondEvents(FACTS_KEPT_DAYS),
        kept_text: "event days + 30",
        help: "what became of accepted items beyond being stored",
        tables: &["receipt"],
    },
    Policy {
        model: Model::Digested,
        name: "Digested",
        reach: Reach::Project,
        kept: Kept::DaysBeyondEvents(FACTS_KEPT_DAYS),
        kept_text: "event days + 30, and as long as the day is open",
        help: "ids of counted events: an id is counted once, also by a job that comes back late",
        tables: &["digested", "spent_body", "withdrawn"],
    },
    Policy {
        model: Model::Outcome,
        name: "Outcome",
        reach: Reach::Project,
        kept: Kept::For(OUTCOMES_KEPT),
        kept_text: "400 days",
        help: "counts by hour of what became of items, by key and reason",
        tables: &["outcome_hour"],
    },
    Policy {
        model: Model::Accepted,
        name: "Accepted",
        reach: Reach::Project,
        kept: Kept::For(OUTCOMES_KEPT),
        kept_text: "400 days",
        help: "counts by hour of what the endpoints accepted",
        tables: &["accepted_hour"],
    },
    Policy {
        model: Model::Series,
        name: "Series",
        reach: Reach::Installation,
        kept: Kept::For(HOURS_KEPT),
        kept_text: "100 days by hour, then for good by day",
        help: "events of issues and projects by hour: older hours are summed in the first one of their day",
        tables: &["issue_hour", "project_hour"],
    },
    Policy {
        model: Model::Internal,
        name: "Internal",
        reach: Reach::Installation,
        kept: Kept::For(INTERNAL_KEPT),
        kept_text: "31 days",
        help: "Vigie's own metrics by hour",
        tables: &["internal_hour"],
    },
    Policy {
        model: Model::Release,
        name: "Release",
        reach: Reach::Project,
        kept: Kept::For(RELEASES_KEPT),
        kept_text: "400 days after they were last seen, for good if an issue names them as its first or last",
        help: "releases that events named",
        tables: &["project_release"],
    },
    Policy {
        model: Model::Project,
        name: "Project",
        reach: Reach::Project,
        kept: Kept::EventDays,
        kept_text: "until no event of theirs is stored",
        help: "what deleted projects leave: issues with their counts, releases, environments, hours, options, dictionaries",
        tables: &["project_environment", "event_dictionary"],
    },
    Policy {
        model: Model::Session,
        name: "Session",
        reach: Reach::Installation,
        kept: Kept::For(Duration::ZERO),
        kept_text: "until they expire",
        help: "logins of people",
        tables: &["login_session"],
    },
    Policy {
        model: Model::Token,
        name: "Token",
        reach: Reach::Installation,
        kept: Kept::For(REVOKED_TOKENS_KEPT),
        kept_text: "30 days after they were revoked",
        help: "API tokens",
        tables: &["api_token"],
    },
    Policy {
        model: Model::Sweep,
        name: "Sweep",
        reach: Reach::Installation,
        kept: Kept::For(SWEEPS_KEPT),
        kept_text: "400 days",
        help: "what sweeps of retention did",
        tables: &["retention_sweep", "retention_tally"],
    },
    Policy {
        model: Model::Audit,
        name: "Audit",
        reach: Reach::Installation,
        kept: Kept::For(AUDIT_KEPT),
        kept_text: "730 days",
        help: "who changed what, of the audit log",
        tables: &["audit_entry"],
    },
    Policy {
        model: Model::Blob,
        name: "Blob",
        reach: Reach::Installation,
        kept: Kept::For(ORPHANS_KEPT),
        kept_text: "a day after they were last put; bodies of large requests until they are digested, others 45 days at least",
        help: "content that nothing refers to: attachments of duplicates, leftovers of crashes",
        tables: &[],
    },
];

/// Every table that no policy is about.
pub const UNAGED: &[Unaged] = &[
    Unaged {
        because: "issues and their counts are the history of a project, and stay when their events are gone; deleting an \
                  issue or its project removes them",
        tables: &[
            "issue",
            "issue_group",
            "issue_strand",
            "issue_environment",
            "issue_user",
            "issue_tag_key",
            "issue_tag",
            "issue_activity",
            "issue_import",
        ],
    },
    Unaged {
        because: "people made it, and people delete it",
        tables: &[
            "organization",
            "project",
            "project_key",
            "project_option",
            "user_account",
            "membership",
            "user_permission",
            "runtime_option",
            "slug_history",
        ],
    },
    Unaged { because: "one row for each name, overwritten", tables: &["setting"] },
    Unaged {
        because: "what it tells of is on disk: its rows go when that is forwarded, or somebody forgets it",
        tables: &["spool"],
    },
    Unaged {
        because: "its rows go when what they ask for is done",
        tables: &["outbox", "issue_deletion", "issue_deletion_group", "issue_deletion_kept", "issue_deletion_event"],
    },
];

/// What is no model of a sweep.
pub const ELSEWHERE: &[Elsewhere] = &[
    // `queue::LETTERS_KEPT` and `LETTERS_MAX`; `ops::dead_letters::let_go` sees to them.
    Elsewhere {
        what: "dead letters",
        kept_text: "14 days, and 100,000 of them, the oldest go first; each ten minutes the web process lets go what is due, \
                    once its event is counted as `dead` under its project and hour",
    },
    Elsewhere { what: "results of jobs", kept_text: "a day, by the queue, of jobs that ask for it" },
    Elsewhere {
        what: "invitations",
        kept_text: "there are none: people are made by `vigie createuser` or the API, and belong to an organization at once",
    },
    Elsewhere { what: "links to set a forgotten password", kept_text: "there are none" },
    Elsewhere {
        what: "sessions of releases",
        kept_text: "not stored: items of that kind are counted and named in receipts",
    },
    Elsewhere { what: "bookmarked events", kept_text: "there are none in this release" },
];

impl Model {
    /// Returns the model of a name, in whatever letters.
    pub fn parse(name: &str) -> Option<Model> {
        POLICIES.iter().find(|policy| policy.name.eq_ignore_ascii_case(name)).map(|policy| policy.model)
    }

    pub fn policy(self) -> &'static Policy {
        POLICIES.iter().find(|policy| policy.model == self).expect("every model has its line in the table")
    }

    pub fn name(self) -> &'static str {
        self.policy().name
    }

    /// The table of a model that is nothing but rows of the metadata.
    pub(super) fn aged(self) -> Option<Aged> {
        match self {
            Model::Event | Model::Attachment | Model::Series | Model::Project | Model::Blob => None,
            Model::Internal => Some(Aged::Internal),
            Model::Release => Some(Aged::Release),
            Model::Receipt => Some(Aged::Receipt),
            Model::Digested => Some(Aged::Digested),
            Model::Outcome => Some(Aged::Outcome),
            Model::Accepted => Some(Aged::Accepted),
            Model::Session => Some(Aged::Session),
            Model::Token => Some(Aged::Token),
            Model::Sweep => Some(Aged::Sweep),
            Model::Audit => Some(Aged::Audit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_model_has_one_line_and_is_found_by_its_name() {
        for policy in POLICIES {
            assert_eq!(Model::parse(&policy.name.to_uppercase()), Some(policy.model));
            assert_eq!(policy.model.name(), policy.name);
        }
        assert_eq!(Model::parse("Evnt"), None);
    }

    #[test]
    fn every_table_of_the_metadata_is_aged_or_is_not_for_a_reason() {
        let folder = tempfile::tempdir().expect("a folder");
        let stores = store::Stores::open(folder.path(), stdx::Timestamp::EPOCH).expect("fresh stores");
        let mut there = store::sizes::table_names(&stores).expect("the names of tables");
        let aged = POLICIES.iter().flat_map(|policy| policy.tables);
        let mut named: Vec<&str> = aged.chain(UNAGED.iter().flat_map(|unaged| unaged.tables)).copied().collect();
        there.sort_unstable();
        named.sort_unstable();
        assert_eq!(there, named, "left: the schema; right: POLICIES and UNAGED, each table once");
    }
}
