//! `vigie users list | update | delete`.

use super::output;
use crate::cli::{Users, YesNo};
use crate::config::Config;
use crate::local::Local;
use ops::users::{self, UpdateUser, User};
use std::process::ExitCode;

pub fn run(config: &Config, command: Users) -> anyhow::Result<ExitCode> {
    let local = Local::open(config)?;
    match command {
        Users::List(listing) => {
            let users = local.wait(users::list(&local.ops, &local.caller()))?;
            if listing.json {
                output::json(&users.iter().map(ops::shapes::user).collect())?;
            } else {
                let rows: Vec<Vec<String>> = users.iter().map(row).collect();
                output::table(&["ID", "EMAIL", "NAME", "STATE", "PERMISSIONS"], &rows)?;
            }
        }
        Users::Update { user, name, superuser, active, listing } => {
            let input = UpdateUser {
                id: id_of(&local, &user)?,
                name,
                is_superuser: superuser.map(YesNo::is_yes),
                is_active: active.map(YesNo::is_yes),
            };
            let user = local.wait(users::update(&local.ops, &local.caller(), input))?;
            match listing.json {
                true => output::json(&ops::shapes::user(&user))?,
                false => output::line(&format!("changed {} ({})", user.email, row(&user)[3]))?,
            }
        }
        Users::Delete { user, for_good } => {
            let id = id_of(&local, &user)?;
            local.wait(users::delete(&local.ops, &local.caller(), &id, for_good))?;
            output::line(&format!("deleted {user}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn id_of(local: &Local, user: &str) -> anyhow::Result<String> {
    Ok(local.wait(users::resolve(&local.ops, &local.caller(), user))?.id.to_string())
}

fn row(user: &User) -> Vec<String> {
    let state = match (user.is_active, user.is_superuser) {
        (false, _) => "inactive",
        (true, true) => "superuser",
        (true, false) => "active",
    };
    let permissions = user.permissions.names().join(" ");
    vec![user.id.to_string(), user.email.clone(), user.name.clone(), state.to_owned(), permissions]
}
