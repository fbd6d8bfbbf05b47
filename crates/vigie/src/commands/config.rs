//! `vigie config …`: what the configuration is, where each value comes from, and what is wrong with it. They need no store
//! and create none.

use super::{Usage, init, output, unknown};
use crate::cli::{ConfigCommand, Listing};
use crate::config::{self, Config, Explained, Flags};
use serde_json::json;
use std::process::ExitCode;

const NOT_YET: &[&str] = &["set", "delete", "import"];

pub fn run(flags: &Flags, command: ConfigCommand) -> anyhow::Result<ExitCode> {
    match command {
        ConfigCommand::List { glob, listing } => list(flags, glob.as_deref().unwrap_or("*"), listing)?,
        ConfigCommand::Get { key } => output::line(find(flags, &key)?.value())?,
        ConfigCommand::Explain { key, listing } => explain(&find(flags, &key)?, listing)?,
        ConfigCommand::GenerateSecretKey => output::line(&init::fresh_secret_key())?,
        ConfigCommand::Check => check(flags)?,
        ConfigCommand::Unknown(words) => {
            let name = words.first().map(String::as_str).unwrap_or_default();
            if NOT_YET.contains(&name) {
                anyhow::bail!("'config {name}' is not built yet (README, \"Not yet\")");
            }
            return Err(unknown("config command", &words));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn find(flags: &Flags, name: &str) -> anyhow::Result<Explained> {
    let (keys, _) = config::explain(flags);
    let found = keys.into_iter().find(|explained| explained.key.name == name);
    found.ok_or_else(|| Usage(format!("unknown key {name}{}", config::hint(name))).into())
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
        "type": key.kind.words(), "default": key.default, "secret": key.is_secret, "restart": true,
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
    output::line(&format!("  takes {}; a change needs a restart", key.kind.words()))?;
    output::line("  strongest first:")?;
    for (index, setting) in explained.settings.iter().rev().enumerate() {
        let note = if index == 0 { "in force" } else { "overruled" };
        output::line(&format!("    {}  from {}, {note}", setting.text, setting.place))?;
    }
    Ok(())
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
