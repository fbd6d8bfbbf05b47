//! The command line: names, flags and help. It decides nothing; `commands` does what it asks.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

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
    #[arg(short, long, global = true, value_name = "LEVEL", default_value = "info")]
    pub loglevel: String,
    /// How log lines on standard error look
    #[arg(long, global = true, value_name = "FORMAT", default_value = "human")]
    pub log_format: LogFormatArg,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormatArg {
    Human,
    Json,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run Vigie; without a role everything in this process
    Run(Run),
    /// Create or update a person who may log in
    Createuser(CreateUser),
    /// List and create projects
    #[command(subcommand)]
    Projects(Projects),
    /// List and create the DSN keys of a project
    #[command(subcommand)]
    Keys(Keys),
    /// Create, list and revoke API tokens
    #[command(subcommand)]
    Tokens(Tokens),
    /// Look at the job queues
    #[command(subcommand)]
    Queues(Queues),
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
    /// Compare counters, rows and queue; exit 1 if they disagree
    Check(Listing),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

#[derive(Debug, Args)]
pub struct Run {
    /// Only `all` is built yet
    #[arg(default_value = "all", value_name = "ROLE")]
    pub role: String,
    /// Address and port to listen on
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Threads that run tasks
    #[arg(short = 'c', long, value_name = "N")]
    pub concurrency: Option<usize>,
}

/// A command that prints a list or a record.
#[derive(Clone, Copy, Debug, Args)]
pub struct Listing {
    /// JSON on standard output, nothing else there
    #[arg(long)]
    pub json: bool,
}

#[derive(Debug, Args)]
pub struct CreateUser {
    #[arg(long, value_name = "E")]
    pub email: String,
    #[arg(long, value_name = "P", conflicts_with = "no_password")]
    pub password: Option<String>,
    /// The person cannot log in with a password
    #[arg(long)]
    pub no_password: bool,
    #[arg(long)]
    pub superuser: bool,
    /// Change the person if the address is taken
    #[arg(long)]
    pub force_update: bool,
    /// Never ask; missing answers are errors
    #[arg(long)]
    pub no_input: bool,
}

#[derive(Debug, Subcommand)]
pub enum Projects {
    List(Listing),
    Create {
        #[arg(value_name = "ORG/SLUG")]
        project: String,
        #[arg(long, value_name = "P")]
        platform: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
}

#[derive(Debug, Subcommand)]
pub enum Keys {
    List {
        #[arg(value_name = "ORG/SLUG")]
        project: String,
        #[command(flatten)]
        listing: Listing,
    },
    Create {
        #[arg(value_name = "ORG/SLUG")]
        project: String,
        #[command(flatten)]
        listing: Listing,
    },
}

#[derive(Debug, Subcommand)]
pub enum Tokens {
    Create {
        #[arg(long, value_name = "E")]
        email: String,
        /// Without it the token has all scopes
        #[arg(long, value_name = "S")]
        scope: Vec<String>,
        #[command(flatten)]
        listing: Listing,
    },
    List(Listing),
    Revoke {
        id: i64,
    },
}

#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every key with its value and where that came from
    List(Listing),
    /// One key: value, where it came from, what it is for
    Explain { key: String },
    /// Say everything that is wrong; exit 78 if anything is
    Check,
    #[command(external_subcommand)]
    Unknown(Vec<String>),
}

#[derive(Debug, Subcommand)]
pub enum Queues {
    List(Listing),
    #[command(external_subcommand)]
    Unknown(Vec<String>),
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
    Group {
        file: PathBuf,
        /// `first` is the only configuration yet
        #[arg(long, value_name = "NAME")]
        config: Option<String>,
    },
    /// Say what became of an event
    Lookup {
        event_id: String,
        #[command(flatten)]
        listing: Listing,
    },
}
