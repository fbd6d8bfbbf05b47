//! The command line: names, flags and help. It decides nothing; `commands` does what it asks.

mod accounts;
mod examples;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

pub use accounts::{
    Api, ApiMethod, CreateUser, Keys, Members, PermissionOf, Permissions, Projects, Tokens, Users, YesNo,
};

/// Reads the process's arguments; wrong ones end it with code 2 and what was meant.
pub fn parse() -> Cli {
    let matches = command().get_matches();
    Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
}

/// Returns the whole command line with its examples.
pub fn command() -> clap::Command {
    examples::with_examples(Cli::command())
}

/// A self-hosted error tracker for every Sentry SDK.
#[derive(Debug, Parser)]
#[command(name = "vigie", version, about, disable_help_subcommand = true)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    /// Without a command, as with `run`: address and port to listen on
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    #[command(subcommand)]
    pub command: Option<Command>,
}

/// Flags that every command takes, before or after its name.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Configuration file, or a folder that holds vigie.toml
    #[arg(long, global = true, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// Folder of all embedded stores
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// error, warn, info, debug, trace, or a filter such as queue=debug
    #[arg(short, long, global = true, value_name = "LEVEL")]
    pub loglevel: Option<String>,
    /// How log lines on standard error look
    #[arg(long, global = true, value_name = "FORMAT")]
    pub log_format: Option<LogFormatArg>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormatArg {
    Human,
    Json,
}

impl LogFormatArg {
    /// Returns its word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            LogFormatArg::Human => "human",
            LogFormatArg::Json => "json",
        }
    }
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run Vigie; without a role everything in this process
    Run(Run),
    /// Write a commented vigie.toml with a fresh secret key
    Init {
        /// Without it the working folder
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
        /// Leave a file that is there as it is
        #[arg(long)]
        no_clobber: bool,
    },
    /// Create or update a person who may log in
    Createuser(CreateUser),
    /// Give, take and list what superusers may do
    #[command(subcommand)]
    Permissions(Permissions),
    /// List, change and delete people
    #[command(subcommand)]
    Users(Users),
    /// List, add, change and remove members of an organization
    #[command(subcommand)]
    Members(Members),
    /// List, create, change and delete projects
    #[command(subcommand)]
    Projects(Projects),
    /// List, create, change and delete the DSN keys of a project
    #[command(subcommand)]
    Keys(Keys),
    /// Create, list and revoke API tokens
    #[command(subcommand)]
    Tokens(Tokens),
    /// Call the web API from here, without a running Vigie
    Api(Api),
    /// Look at the job queues, hold, empty and feed them
    #[command(subcommand)]
    Queues(Queues),
    /// Look at who runs jobs
    #[command(subcommand)]
    Workers(Workers),
    /// Look at what runs by the clock
    #[command(subcommand)]
    Schedules(Schedules),
    /// Look at the metrics
    #[command(subcommand)]
    Metrics(MetricsCommand),
    /// Look at the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Send, look at and look up events
    #[command(subcommand)]
    Event(Event),
    /// Say how the running Vigie is
    Status(Listing),
    /// Bring the stores to this release's shape; safe to run twice
    Upgrade {
        /// Say what would be done and do nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Copy everything to a folder, consistently, while events come in
    Backup(Backup),
    /// Bring a backup back into an empty data directory: all of it or nothing
    Restore(Restore),
    /// Compare counters, rows and queue; exit 1 if they disagree
    Check(Listing),
    /// Remove what is past its retention; exit 0 only if nothing was left out
    Cleanup(Cleanup),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

#[derive(Debug, Args)]
pub struct Run {
    /// all, web, worker or cron
    #[arg(default_value = "all", value_name = "ROLE")]
    pub role: String,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// worker: runs at once
    #[arg(short = 'c', long, value_name = "N", allow_negative_numbers = true)]
    pub concurrency: Option<usize>,
    /// worker: serve only these queues, parted by commas
    #[arg(short = 'Q', long, value_name = "A,B", value_delimiter = ',')]
    pub queues: Vec<String>,
    /// worker: serve all queues but these
    #[arg(short = 'X', long, value_name = "A,B", value_delimiter = ',')]
    pub exclude_queues: Vec<String>,
    /// worker: a queue that is not known is said and left out
    #[arg(long)]
    pub ignore_unknown_queues: bool,
    /// worker: its name; %h, %n and %d stand for host with domain, host, domain
    #[arg(short = 'n', long, visible_alias = "name", value_name = "NAME")]
    pub hostname: Option<String>,
    /// worker: runs in threads, or in processes of their own
    #[arg(long, value_name = "KIND")]
    pub pool: Option<Pool>,
    /// worker: with --pool processes, jobs after which a process is replaced
    #[arg(long, value_name = "N")]
    pub max_tasks_per_child: Option<u64>,
    /// A process of such a pool, with the process it belongs to; its runs come over standard input
    #[arg(long, hide = true, value_name = "PID")]
    pub child: Option<u32>,
    /// Taken and ignored, as scripts for Sentry's workers give it
    #[arg(long, hide = true)]
    pub without_gossip: bool,
    /// Taken and ignored, as scripts for Sentry's workers give it
    #[arg(long, hide = true)]
    pub without_mingle: bool,
    /// Taken and ignored, as scripts for Sentry's workers give it
    #[arg(long, hide = true)]
    pub without_heartbeat: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pool {
    Threads,
    Processes,
}

impl Pool {
    /// Returns its word in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Pool::Threads => "threads",
            Pool::Processes => "processes",
        }
    }
}

/// A command that prints a list or a record.
#[derive(Clone, Copy, Debug, Args)]
pub struct Listing {
    /// JSON on standard output, nothing else there
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct Backup {
    /// Made if it is not there; what is in it must be nothing
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    #[command(flatten)]
    pub listing: Listing,
}

#[derive(Debug, Args)]
pub struct Restore {
    /// The folder that `backup` wrote
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
    /// Compare every file with its checksum and restore nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub listing: Listing,
}

#[derive(Debug, Args)]
pub struct Cleanup {
    /// Instead of system.event-retention-days and what projects have set; below 1 goes with --force
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub days: Option<i64>,
    /// Only this project, and only what projects have
    #[arg(long, value_name = "ORG/PROJECT|ID")]
    pub project: Option<String>,
    /// Only these: Event, Attachment, … (docs/reference/retention.md)
    #[arg(short, long, value_name = "NAME")]
    pub model: Vec<String>,
    /// Worker processes
    #[arg(long, value_name = "N", default_value_t = 1, allow_negative_numbers = true)]
    pub concurrency: i64,
    /// Say what would be removed, by model and project, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Neither progress nor summary: only errors, and what --dry-run, --timed and --json ask for
    #[arg(short = 'q', long)]
    pub silent: bool,
    /// Say how long it took
    #[arg(short, long)]
    pub timed: bool,
    /// Do as --days says even if that is everything, and as the clock says even if it may have leapt ahead
    #[arg(long)]
    pub force: bool,
    #[command(flatten)]
    pub listing: Listing,
    /// A process that works for such a command, with the process it belongs to; its units come over standard input
    #[arg(long, hide = true, value_name = "PID")]
    pub worker: Option<u32>,
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every key with its value and where that came from, e.g. vigie config list 'queue.*'
    List {
        /// Only these; * stands for any text
        glob: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// The value of one key
    Get { key: String },
    /// Set a runtime option; every process follows, e.g. vigie config set log.level debug
    Set {
        key: String,
        #[arg(allow_hyphen_values = true)]
        value: String,
    },
    /// Unset a runtime option: its default is in force again
    Delete { key: String },
    /// One key: value, what every source says of it, what it is for; e.g. vigie config explain broker.url
    Explain {
        key: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Say everything that is wrong; exit 78 if anything is
    Check,
    /// Write a vigie.toml from what an existing Sentry was told, and name what was not taken
    Import {
        /// The folder with config.yml and sentry.conf.py
        #[arg(long, value_name = "DIR")]
        from_sentry: PathBuf,
        /// Say what would be taken and write nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// A fresh value for system.secret-key
    GenerateSecretKey,
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

#[derive(Debug, Subcommand)]
pub enum Queues {
    /// How deep each queue is
    List(Listing),
    /// Remove every job that waits in a queue
    Purge {
        queue: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
        #[command(flatten)]
        listing: Listing,
    },
    /// Claim nothing more from a queue until it is resumed
    Pause { queue: String },
    /// Claim from a paused queue again
    Resume { queue: String },
    /// Jobs that stopped
    #[command(subcommand)]
    Dead(Dead),
    /// Publish a call of a task and print the job's id
    Send(Send),
    /// Count as lost the events that the ledger misses, after the broker was emptied
    WriteOff(Listing),
    /// Jobs of tasks that no worker knows
    Parked(Listing),
    /// What web processes keep while the broker is away
    #[command(subcommand)]
    Spools(Spools),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

#[derive(Debug, Subcommand)]
pub enum Spools {
    List(Listing),
    /// Forget one that went with its machine: the ledger misses what was in it from then on
    Forget {
        id: String,
    },
}

#[derive(Debug, Subcommand)]
pub enum Dead {
    List {
        #[arg(long, value_name = "Q")]
        queue: Option<String>,
        /// So many, the oldest first; all without it
        #[arg(long, value_name = "N")]
        limit: Option<usize>,
        /// Go on where a list with a limit ended
        #[arg(long, value_name = "CURSOR", requires = "limit")]
        cursor: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    Show {
        id: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Put them back into their queues with fresh attempts
    Retry(Which),
    /// Forget them
    Discard(Which),
}

/// Which dead letters: by id, all of a queue, or all.
#[derive(Debug, Args)]
pub struct Which {
    #[arg(value_name = "ID", required_unless_present_any = ["queue", "all"], conflicts_with_all = ["queue", "all"])]
    pub ids: Vec<String>,
    #[arg(long, value_name = "Q")]
    pub queue: Option<String>,
    #[arg(long)]
    pub all: bool,
    #[command(flatten)]
    pub listing: Listing,
}

#[derive(Debug, Args)]
pub struct Send {
    /// Name of a task, also of one that only another program knows
    pub task: String,
    /// Without it the task's own, else `default`
    #[arg(long, value_name = "Q")]
    pub queue: Option<String>,
    #[arg(long, value_name = "JSON", default_value = "[]")]
    pub args: String,
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub kwargs: String,
    /// Seconds before it may run
    #[arg(long, value_name = "S", default_value_t = 0.0, allow_negative_numbers = true)]
    pub delay: f64,
    /// 0 to 9, 9 first
    #[arg(long, value_name = "N", default_value_t = queue::PRIORITY_DEFAULT, allow_negative_numbers = true,
          value_parser = clap::value_parser!(u8).range(0..=9))]
    pub priority: u8,
    /// Wait so many seconds and print the result; exit 1 on failure or time-out
    #[arg(long, value_name = "S", allow_negative_numbers = true)]
    pub wait: Option<f64>,
}

#[derive(Debug, Subcommand)]
pub enum Workers {
    List(Listing),
}

#[derive(Debug, Subcommand)]
pub enum MetricsCommand {
    /// Send a test value to every backend of metrics.backends and say what came of it
    Test,
    /// Every metric with its kind, unit, labels and meaning
    Catalogue(Listing),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

#[derive(Debug, Subcommand)]
pub enum Schedules {
    List(Listing),
}

#[derive(Debug, Subcommand)]
pub enum Event {
    /// Send a test event, or the event in FILE
    Send {
        #[arg(long)]
        dsn: Option<String>,
        #[arg(short, long, value_name = "TEXT")]
        message: Option<String>,
        file: Option<PathBuf>,
    },
    /// Print the normalised form of the event in FILE
    Normalize {
        file: PathBuf,
        #[arg(long, value_name = "IP")]
        client_ip: Option<String>,
    },
    /// Print the grouping of the event in FILE
    ///
    /// Rules of a project may stand in the file: stack-trace rules as text under `_grouping.enhancements`, fingerprint
    /// rules as text or as a list under `_fingerprinting_rules`.
    Group {
        file: PathBuf,
        /// `newstyle:2026-01-20` (default) or `newstyle:2023-01-11`; a path is the configuration file, as elsewhere
        // Of the type of the global flag, whose place it takes: clap keeps one value for both.
        #[arg(long, value_name = "NAME")]
        config: Option<PathBuf>,
        /// Print what counted and what did not, and the rules that had a word in it
        #[arg(long)]
        explain: bool,
    },
    /// Say what became of an event
    Lookup {
        event_id: String,
        #[command(flatten)]
        listing: Listing,
    },
}
