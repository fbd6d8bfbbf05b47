//! `vigie config …`: what the configuration is, where each value comes from, and what is wrong with it. They need no store
//! and create none; runtime options are set in the one that is there.

use super::{Usage, init, output, unknown};
use crate::cli::{ConfigCommand, Listing};
use crate::config::keys::Key;
use crate::config::{self, Config, Explained, FILE_NAME, Flags};
use crate::local::Local;
use anyhow::Context;
use ops::options;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use store::Stores;

pub fn run(flags: &Flags, command: ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::List { glob, listing } => list(flags, glob.as_deref().unwrap_or("*"), listing)?,
        ConfigCommand::Get { key } => output::line(find(flags, &key)?.value())?,
        ConfigCommand::Set { key, value } => set(flags, &key, &value)?,
        ConfigCommand::Delete { key } => delete(flags, &key)?,
        ConfigCommand::Explain { key, listing } => explain(&find(flags, &key)?, listing)?,
        ConfigCommand::GenerateSecretKey => output::line(&init::fresh_secret_key())?,
        ConfigCommand::Check => check(flags)?,
        ConfigCommand::Import { from_sentry, dry_run } => import(flags, &from_sentry, dry_run)?,
        ConfigCommand::Unknown(words) => return Err(unknown("config", &words)),
    }
    Ok(ExitCode::SUCCESS)
}

fn find(flags: &Flags, name: &str) -> anyhow::Result<Explained> {
    let (keys, _) = config::explain(flags);
    let found = keys.into_iter().find(|explained| explained.key.name == name);
    found.ok_or_else(|| Usage(format!("unknown key {name}{}", config::hint(name))).into())
}

fn set(flags: &Flags, name: &str, value: &str) -> anyhow::Result<()> {
    let key = find(flags, name)?.key;
    let local = Local::open(&of_a_store(flags)?)?;
    local.wait(options::set(&local.ops, &local.caller(), name, value))?;
    let when =
        if key.is_live { "running processes follow within five seconds" } else { "it takes effect after a restart" };
    output::line(&format!("{name} = {}; {when}", config::shown(key, value)))
}

fn delete(flags: &Flags, name: &str) -> anyhow::Result<()> {
    find(flags, name)?;
    let local = Local::open(&of_a_store(flags)?)?;
    match local.wait(options::delete(&local.ops, &local.caller(), name))? {
        true => output::line(&format!("{name} is not set any more; its default is in force")),
        false => output::line(&format!("{name} was not set")),
    }
}

/// Runtime options live in the store; a command on the configuration makes none.
fn of_a_store(flags: &Flags) -> anyhow::Result<Config> {
    let config = Config::load(flags)?;
    let folder = config.data_dir.display();
    anyhow::ensure!(
        Stores::exist(&config.data_dir),
        "no store in {folder} yet to keep a runtime option in: start Vigie once, or write the key into {FILE_NAME}"
    );
    Ok(config)
}

fn list(flags: &Flags, glob: &str, listing: Listing) -> anyhow::Result<()> {
    let (mut keys, _) = config::explain(flags);
    keys.retain(|explained| matches(glob, explained.key.name));
    if listing.json {
        return output::json(&keys.iter().map(shape).collect());
    }
    let row =
        |explained: &Explained| [explained.key.name, explained.value(), explained.place()].map(str::to_owned).to_vec();
    let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
    output::table(&["KEY", "VALUE", "FROM"], &rows)
}

/// `*` stands for any text, `?` for one character.
fn matches(glob: &str, name: &str) -> bool {
    let mut rest = glob.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => {
            name.char_indices().map(|(at, _)| at).chain([name.len()]).any(|at| matches(rest.as_str(), &name[at..]))
        }
        Some(first) => {
            let mut characters = name.chars();
            characters.next().is_some_and(|c| first == '?' || first == c) && matches(rest.as_str(), characters.as_str())
        }
    }
}

fn shape(explained: &Explained) -> serde_json::Value {
    let key = explained.key;
    json!({
        "key": key.name, "value": explained.value(), "source": explained.place(), "help": key.help,
        "type": key.kind.words(), "default": key.default, "secret": key.is_secret, "restart": !key.is_live, "runtime": key.is_runtime,
        "settings": explained.settings.iter().map(|setting| json!({
            "layer": setting.layer.name(), "source": setting.place, "value": setting.text,
        })).collect::<Vec<_>>(),
    })
}

fn explain(explained: &Explained, listing: Listing) -> anyhow::Result<()> {
    if listing.json {
        return output::json(&shape(explained));
    }
    let key = explained.key;
    let value = if explained.settings.is_empty() { "not set" } else { explained.value() };
    output::line(&format!("{} = {value}", key.name))?;
    output::line(&format!("  {}", key.help))?;
    output::line(&format!("  takes {}; {}", key.kind.words(), when(key)))?;
    output::line("  strongest first:")?;
    for (index, setting) in explained.settings.iter().rev().enumerate() {
        let note = if index == 0 { "in force" } else { "overruled" };
        output::line(&format!("    {}  from {}, {note}", setting.text, setting.place))?;
    }
    Ok(())
}

/// Into the file that `--config` names, else the one of the working folder.
fn import(flags: &Flags, folder: &Path, dry_run: bool) -> anyhow::Result<()> {
    let found = config::sentry::read(folder)?;
    let named = flags.config.clone().unwrap_or_else(|| PathBuf::from(FILE_NAME));
    let path = if named.is_dir() { named.join(FILE_NAME) } else { named };
    anyhow::ensure!(dry_run || !path.exists(), "{} is there already and was left as it is", path.display());
    for taken in &found.taken {
        output::line(&format!("taken      {taken}"))?;
    }
    for left in &found.left {
        output::line(&format!("not taken  {left}"))?;
    }
    if dry_run {
        return Ok(());
    }
    let mut values = found.values;
    values.entry("system.secret-key").or_insert_with(init::fresh_secret_key);
    init::write(&path, &config::template::render(&values)).with_context(|| format!("write {}", path.display()))?;
    output::line(&format!("wrote {}", path.display()))
}

fn when(key: &Key) -> &'static str {
    match (key.is_runtime, key.is_live) {
        (true, true) => "may be set while Vigie runs, and is followed at once",
        (true, false) => "may be set while Vigie runs, and takes effect after a restart",
        (false, true) => "a change is taken up on SIGHUP",
        (false, false) => "a change needs a restart",
    }
}

fn check(flags: &Flags) -> anyhow::Result<()> {
    let config = Config::load(flags)?;
    let place = || {
        let of_key = find(flags, "broker.url").map(|explained| explained.place().to_owned());
        of_key.unwrap_or_default()
    };
    // What is wrong with the broker is wrong with the key that names it.
    let of_broker = |error: anyhow::Error| {
        config::ConfigError(vec![config::Problem { place: place(), text: format!("{error:#}") }])
    };
    for line in crate::broker::describe(&config).map_err(of_broker)? {
        output::line(&line)?;
    }
    output::line("the configuration is fine")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_choose_keys() {
        for (glob, name, expected) in [
            ("*", "web.listen", true),
            ("web.*", "web.listen", true),
            ("web.*", "worker.pool", false),
            ("*.max-*", "queue.max-jobs", true),
            ("w?b.listen", "web.listen", true),
            ("web", "web.listen", false),
        ] {
            assert_eq!(matches(glob, name), expected, "{glob} {name}");
        }
    }
}
