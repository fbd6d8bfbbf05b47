//! `vigie keys list | create | update | delete ORG/SLUG`: the DSNs of a project, in Sentry's key shape with `--json`.

use super::output;
use super::projects::parse_project;
use crate::cli::{Keys, YesNo};
use crate::config::Config;
use crate::local::Local;
use ops::keys::{CreateKey, Key, KeyRef, UpdateKey};
use std::process::ExitCode;

pub fn run(config: &Config, command: Keys) -> anyhow::Result<ExitCode> {
    let local = Local::open(config)?;
    match command {
        Keys::List { project, listing } => {
            let keys = local.wait(ops::keys::list(&local.ops, &local.caller(), &parse_project(&project)?))?;
            if listing.json {
                output::json(&keys.iter().map(|key| shape(&local, key)).collect())?;
            } else {
                let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
                output::table(&["ID", "LABEL", "STATE", "DSN"], &rows)?;
            }
        }
        Keys::Create { project, listing } => {
            let input = CreateKey { project: parse_project(&project)?, label: None };
            let key = local.wait(ops::keys::create(&local.ops, &local.caller(), input))?;
            if listing.json {
                output::json(&shape(&local, &key))?;
            } else {
                output::line(&key.dsn_public)?;
            }
        }
        Keys::Update { project, key, label, active, listing } => {
            let key = KeyRef { project: parse_project(&project)?, key };
            let input = UpdateKey { key, label, is_active: active.map(YesNo::is_yes) };
            let key = local.wait(ops::keys::update(&local.ops, &local.caller(), input))?;
            match listing.json {
                true => output::json(&shape(&local, &key))?,
                false => output::line(&format!("changed {}", row(&key)[..3].join(" ")))?,
            }
        }
        Keys::Delete { project, key } => {
            let wanted = KeyRef { project: parse_project(&project)?, key };
            local.wait(ops::keys::delete(&local.ops, &local.caller(), &wanted))?;
            output::line(&format!("deleted key {} of {project}", wanted.key))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn shape(local: &Local, key: &Key) -> serde_json::Value {
    ops::shapes::key(&local.ops.public_url(), key)
}

fn row(key: &Key) -> Vec<String> {
    let state = if key.is_active { "active" } else { "disabled" };
    vec![key.id.to_string(), key.label.clone(), state.to_owned(), key.dsn_public.clone()]
}
