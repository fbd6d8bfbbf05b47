//! Commands about people and what is theirs: accounts, permissions, memberships, tokens, projects and keys.

use super::Listing;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub struct CreateUser {
    /// May be said more than once, for several people at once
    #[arg(long, value_name = "E")]
    pub email: Vec<String>,
    #[arg(long, value_name = "P", conflicts_with = "no_password")]
    pub password: Option<String>,
    /// The person cannot log in with a password
    #[arg(long)]
    pub no_password: bool,
    /// The person owns every organization and has every permission
    #[arg(long, overrides_with = "no_superuser")]
    pub superuser: bool,
    /// The person is no superuser, or is none any more
    #[arg(long)]
    pub no_superuser: bool,
    /// Taken and ignored, as scripts for Sentry give it: whoever is a superuser is staff
    #[arg(long, hide = true)]
    pub staff: bool,
    /// Taken and ignored, as scripts for Sentry give it
    #[arg(long, hide = true)]
    pub no_staff: bool,
    /// Organization to join, by slug or id; without it the only one there is
    #[arg(long, alias = "org", value_name = "ORG")]
    pub org_id: Option<String>,
    /// Change the person if the address is taken
    #[arg(long)]
    pub force_update: bool,
    /// Never ask; missing answers are errors
    #[arg(long, alias = "noinput")]
    pub no_input: bool,
    #[command(flatten)]
    pub listing: Listing,
}

#[derive(Debug, Subcommand)]
pub enum Permissions {
    /// Give a superuser a permission
    Add(PermissionOf),
    /// Take a permission away
    Remove(PermissionOf),
    /// What a person holds
    List {
        /// Email, id or name
        #[arg(short, long, value_name = "USER")]
        user: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Every permission there is, with what it allows
    Available(Listing),
}

#[derive(Debug, Args)]
pub struct PermissionOf {
    /// Email, id or name of one superuser
    #[arg(short, long, value_name = "USER")]
    pub user: String,
    /// A name of `vigie permissions available`
    #[arg(short, long, value_name = "PERM")]
    pub permission: String,
    #[command(flatten)]
    pub listing: Listing,
}

#[derive(Debug, Subcommand)]
pub enum Users {
    /// Everybody who has an account
    List(Listing),
    /// Change a person's name and rights
    Update {
        /// Email, id or name
        #[arg(value_name = "USER")]
        user: String,
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[arg(long, value_name = "YES|NO")]
        superuser: Option<YesNo>,
        /// Whether the account may be used
        #[arg(long, value_name = "YES|NO")]
        active: Option<YesNo>,
        #[command(flatten)]
        listing: Listing,
    },
    /// End an account: out at once, of every organization, with all tokens
    Delete {
        /// Email, id or name
        #[arg(value_name = "USER")]
        user: String,
        /// Forget the account, so that its email is free again
        #[arg(long)]
        for_good: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum YesNo {
    Yes,
    No,
}

#[derive(Debug, Subcommand)]
pub enum Members {
    List {
        #[arg(value_name = "ORG")]
        org: String,
        #[command(flatten)]
        listing: Listing,
    },
    /// Make somebody who has an account a member
    Add(MemberRole),
    /// Change a member's role
    Update(MemberRole),
    /// End a membership
    Remove {
        #[arg(value_name = "ORG")]
        org: String,
        #[arg(value_name = "EMAIL")]
        email: String,
    },
}

#[derive(Debug, Args)]
pub struct MemberRole {
    #[arg(value_name = "ORG")]
    pub org: String,
    #[arg(value_name = "EMAIL")]
    pub email: String,
    /// member, admin, manager or owner
    #[arg(long, value_name = "ROLE", default_value = "member")]
    pub role: String,
    #[command(flatten)]
    pub listing: Listing,
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
    /// Change a project's name, slug and platform
    Update {
        #[arg(value_name = "ORG/SLUG")]
        project: String,
        #[arg(long, value_name = "NAME")]
        name: Option<String>,
        #[arg(long, value_name = "SLUG")]
        slug: Option<String>,
        #[arg(long, value_name = "P")]
        platform: Option<String>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Delete a project; its DSNs are refused, its events go with their days
    Delete {
        #[arg(value_name = "ORG/SLUG")]
        project: String,
        /// Do not ask
        #[arg(short, long)]
        force: bool,
    },
    /// Lead hashes of another tracker to issues, from CSV or JSON
    ImportHashes {
        #[arg(value_name = "ORG/SLUG")]
        project: String,
        #[arg(value_name = "FILE")]
        file: PathBuf,
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
    /// Change a key's label, or whether it is taken
    Update {
        #[arg(value_name = "ORG/SLUG")]
        project: String,
        /// Public key or id
        #[arg(value_name = "KEY")]
        key: String,
        #[arg(long, value_name = "TEXT")]
        label: Option<String>,
        /// Whether events with it are taken
        #[arg(long, value_name = "YES|NO")]
        active: Option<YesNo>,
        #[command(flatten)]
        listing: Listing,
    },
    /// Delete a key; SDKs that use it are refused from then on
    Delete {
        #[arg(value_name = "ORG/SLUG")]
        project: String,
        /// Public key or id
        #[arg(value_name = "KEY")]
        key: String,
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

/// A call of the web API without a socket.
#[derive(Debug, Args)]
pub struct Api {
    #[arg(value_name = "METHOD")]
    pub method: ApiMethod,
    /// With or without /api/0, and with its query
    #[arg(value_name = "PATH")]
    pub path: String,
    /// The body
    #[arg(short, long, value_name = "JSON")]
    pub data: Option<String>,
    /// Do it with the rights of this person: email, id or name
    #[arg(long = "as", value_name = "USER")]
    pub user: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ApiMethod {
    Get,
    Put,
    Post,
    Delete,
}

impl YesNo {
    pub fn is_yes(self) -> bool {
        self == YesNo::Yes
    }
}
