//! `vigie permissions add | remove | list | available`, in the words that operators know from Sentry.

use super::output;
use crate::cli::{PermissionOf, Permissions};
use crate::config::Config;
use crate::local::Local;
use ops::Caller;
use ops::permissions::{self, Changed, Permission};
use serde_json::json;
use std::process::ExitCode;

pub fn run(config: &Config, command: Permissions) -> anyhow::Result<ExitCode> {
    match command {
        Permissions::Add(input) => {
            let (local, caller) = open(config)?;
            let given = permissions::add(&local.ops, &caller, &input.user, &input.permission);
            say(&input, &local.wait(given)?, "Added", "to", "already exists")?;
        }
        Permissions::Remove(input) => {
            let (local, caller) = open(config)?;
            let taken = permissions::remove(&local.ops, &caller, &input.user, &input.permission);
            say(&input, &local.wait(taken)?, "Removed", "from", "does not exist")?;
        }
        Permissions::List { user, listing } => {
            let (local, caller) = open(config)?;
            let held = local.wait(permissions::list(&local.ops, &caller, &user))?;
            let names = held.permissions.names();
            if listing.json {
                output::json(&json!(names))?;
            } else {
                output::line(&format!("Permissions for `{}`:", held.email))?;
                for name in names {
                    output::line(&format!("- {name}"))?;
                }
            }
        }
        Permissions::Available(listing) if listing.json => {
            output::json(&Permission::all().map(ops::shapes::permission).collect())?;
        }
        Permissions::Available(_) => {
            let row =
                |permission: Permission| vec![permission.as_str().to_owned(), permission.description().to_owned()];
            output::table(&["PERMISSION", "ALLOWS"], &Permission::all().map(row).collect::<Vec<_>>())?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn open(config: &Config) -> anyhow::Result<(Local, Caller)> {
    let local = Local::open(config)?;
    let caller = local.caller();
    Ok((local, caller))
}

/// It being so already is no failure, and is said.
fn say(input: &PermissionOf, changed: &Changed, did: &str, whom: &str, was: &str) -> anyhow::Result<()> {
    let Changed { email, permission, is_changed } = changed;
    let name = permission.as_str();
    if input.listing.json {
        return output::json(&json!({ "user": email, "permission": name, "changed": is_changed }));
    }
    output::line(&match is_changed {
        true => format!("{did} permission `{name}` {whom} `{email}`"),
        false => format!("Permission {was} for `{email}`"),
    })
}
