//! The console: what the pipeline does, for operators. One page a file; `/api/0/system/` says the same, and so do `vigie`
//! commands, `vigie api get /system/…` where there is none of its own. Rates are known to the web process that samples them. Pages refresh themselves, by a plain reload where there is no JavaScript.

pub mod audit;
pub mod config;
pub mod dead_letters;
pub mod events;
pub mod itself;
pub mod ledger;
pub mod pipeline;
pub mod queues;
mod reasons;
pub mod schedules;
pub mod spools;
pub mod storage;
pub mod workers;

use crate::format::grouped;

/// The pages of the console, in the order of their tabs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tab {
    Pipeline,
    Queues,
    Workers,
    DeadLetters,
    Schedules,
    Storage,
    Itself,
    Events,
    Config,
    Audit,
}

impl Tab {
    pub const ALL: [Tab; 10] = [
        Tab::Pipeline,
        Tab::Queues,
        Tab::Workers,
        Tab::DeadLetters,
        Tab::Schedules,
        Tab::Storage,
        Tab::Itself,
        Tab::Events,
        Tab::Config,
        Tab::Audit,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Tab::Pipeline => "Pipeline",
            Tab::Queues => "Queues",
            Tab::Workers => "Workers",
            Tab::DeadLetters => "Dead letters",
            Tab::Schedules => "Schedules",
            Tab::Storage => "Storage",
            Tab::Itself => "Vigie itself",
            Tab::Events => "Event lookup",
            Tab::Config => "Configuration",
            Tab::Audit => "Audit log",
        }
    }

    pub fn path(self) -> &'static str {
        match self {
            Tab::Pipeline => "/system/",
            Tab::Queues => "/system/queues/",
            Tab::Workers => "/system/workers/",
            Tab::DeadLetters => "/system/dead-letters/",
            Tab::Schedules => "/system/schedules/",
            Tab::Storage => "/system/storage/",
            Tab::Itself => "/system/itself/",
            Tab::Events => "/system/events/",
            Tab::Config => "/system/config/",
            Tab::Audit => "/system/audit/",
        }
    }
}

fn count(number: u64) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}
