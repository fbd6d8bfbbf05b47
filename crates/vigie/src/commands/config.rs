//! `vigie config list | explain | check`. They need no store and create none.

use super::{Usage, output, unknown};
use crate::cli::ConfigCommand;
use crate::config::{self, Config, Flags};
use serde_json::json;
use std::process::ExitCode;

const NOT_YET: &[&str] = &["get", "set", "delete", "generate-secret-key", "import"];

pub fn run(flags: &Flags, command: ConfigCommand) -> anyhow::Result<ExitCode> {
    let (keys, _) = config::explain(flags);
    match command {
        ConfigCommand::List(listing) if listing.json => {
            let shape = |key: &config::Explained| json!({ "key": key.name, "value": key.value, "source": key.place, "help": key.help });
            output::json(&keys.iter().map(shape).collect())?;
        }
        ConfigCommand::List(_) => {
            let row = |key: &config::Explained| vec![key.name.to_owned(), key.value.clone(), key.place.clone()];
            let rows: Vec<Vec<String>> = keys.iter().map(row).collect();
            output::table(&["KEY", "VALUE", "FROM"], &rows)?;
        }
        ConfigCommand::Explain { key } => {
            let found = keys.iter().find(|known| known.name == key);
            let found = found.ok_or_else(|| Usage(format!("unknown key '{key}'; see vigie config list")))?;
            output::line(&format!("{} = {}", found.name, found.value))?;
            output::line(&format!("  from {}; a change needs a restart", found.place))?;
            output::line(&format!("  {}", found.help))?;
        }
        ConfigCommand::Check => {
            let config = Config::load(flags)?;
            for line in crate::broker::describe(&config).map_err(|error| of_broker(&keys, &error))? {
                output::line(&line)?;
            }
            output::line("the configuration is fine")?;
        }
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

/// What is wrong with the broker is wrong with the key that names it.
fn of_broker(keys: &[config::Explained], error: &anyhow::Error) -> config::ConfigError {
    let place = keys.iter().find(|key| key.name == "broker.url").map_or("default", |key| &key.place);
    config::ConfigError(vec![config::Problem { place: place.to_owned(), text: format!("{error:#}") }])
}
