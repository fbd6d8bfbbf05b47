//! An example for every command, shown under its `--help`. A test walks over all commands: each has one, and each is
//! read as the command it stands for.

use clap::Command;

/// The command's words and a line that calls it.
pub const EXAMPLES: &[(&str, &str)] = &[
    ("", "vigie --data-dir /var/lib/vigie --listen 0.0.0.0:9000"),
    ("run", "vigie run worker -c 4 -Q events"),
    ("init", "vigie init /etc/vigie"),
    ("createuser", "vigie createuser --email ann@example.com --superuser"),
    ("permissions", "vigie permissions list -u ann@example.com"),
    ("permissions add", "vigie permissions add -u ann@example.com -p queues.admin"),
    ("permissions remove", "vigie permissions remove -u ann@example.com -p queues.admin"),
    ("permissions list", "vigie permissions list -u ann@example.com --json"),
    ("permissions available", "vigie permissions available"),
    ("users", "vigie users list"),
    ("users list", "vigie users list --json"),
    ("users update", "vigie users update ann@example.com --superuser yes"),
    ("users delete", "vigie users delete ann@example.com"),
    ("members", "vigie members list default"),
    ("members list", "vigie members list default --json"),
    ("members add", "vigie members add default ann@example.com --role admin"),
    ("members update", "vigie members update default ann@example.com --role owner"),
    ("members remove", "vigie members remove default ann@example.com"),
    ("projects", "vigie projects list"),
    ("projects list", "vigie projects list --json"),
    ("projects create", "vigie projects create default/shop --platform python"),
    ("projects import-hashes", "vigie projects import-hashes default/shop hashes.csv"),
    ("projects update", "vigie projects update default/shop --name Shop"),
    ("projects delete", "vigie projects delete default/shop"),
    ("keys", "vigie keys list default/shop"),
    ("keys list", "vigie keys list default/shop --json"),
    ("keys create", "vigie keys create default/shop"),
    ("keys update", "vigie keys update default/shop 3 --active no"),
    ("keys delete", "vigie keys delete default/shop 3"),
    ("tokens", "vigie tokens list"),
    ("tokens create", "vigie tokens create --email ann@example.com --scope event:read --scope project:read"),
    ("tokens list", "vigie tokens list --json"),
    ("tokens revoke", "vigie tokens revoke 3"),
    ("api", "vigie api put /projects/default/shop/ -d '{\"name\":\"Shop\"}'"),
    ("queues", "vigie queues list"),
    ("queues list", "vigie queues list --json"),
    ("queues purge", "vigie queues purge debug"),
    ("queues pause", "vigie queues pause events"),
    ("queues resume", "vigie queues resume events"),
    ("queues dead", "vigie queues dead list"),
    ("queues dead list", "vigie queues dead list --queue events --json"),
    ("queues dead show", "vigie queues dead show 0d5f"),
    ("queues dead retry", "vigie queues dead retry --queue events"),
    ("queues dead discard", "vigie queues dead discard 0d5f"),
    ("queues send", "vigie queues send debug.echo --args '[1, 2]' --wait 5"),
    ("queues write-off", "vigie queues write-off"),
    ("queues parked", "vigie queues parked --json"),
    ("queues spools", "vigie queues spools list"),
    ("queues spools list", "vigie queues spools list --json"),
    ("queues spools forget", "vigie queues spools forget 0d5f"),
    ("workers", "vigie workers list"),
    ("workers list", "vigie workers list --json"),
    ("schedules", "vigie schedules list"),
    ("schedules list", "vigie schedules list --json"),
    ("metrics", "vigie metrics catalogue"),
    ("metrics catalogue", "vigie metrics catalogue --json"),
    ("metrics test", "vigie metrics test"),
    ("event send", "vigie event send -m hello"),
    ("event normalize", "vigie event normalize event.json --client-ip 192.0.2.1"),
    ("event group", "vigie event group event.json --explain"),
    ("event lookup", "vigie event lookup 9ec79c33ec9942ab8353589fcb2e04dc"),
    ("event", "vigie event lookup 9ec79c33ec9942ab8353589fcb2e04dc"),
    ("status", "vigie status --json"),
    ("upgrade", "vigie upgrade --dry-run"),
    ("backup", "vigie backup /backups/2026-11-21"),
    ("restore", "vigie --data-dir /var/lib/vigie restore /backups/2026-11-21"),
    ("check", "vigie check --json"),
    ("cleanup", "vigie cleanup --days 30 --dry-run"),
    ("config", "vigie config list"),
    ("config list", "vigie config list 'web.*'"),
    ("config get", "vigie config get web.listen"),
    ("config set", "vigie config set system.event-retention-days 30"),
    ("config delete", "vigie config delete system.event-retention-days"),
    ("config import", "vigie config import --from-sentry /etc/sentry --dry-run"),
    ("config explain", "vigie config explain web.listen"),
    ("config check", "vigie config check"),
    ("config generate-secret-key", "vigie config generate-secret-key"),
];

/// Returns the command with an example under the help of each of its parts.
pub fn with_examples(command: Command) -> Command {
    add(command, "")
}

fn add(mut command: Command, path: &str) -> Command {
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for name in names {
        let path = if path.is_empty() { name.clone() } else { format!("{path} {name}") };
        command = command.mut_subcommand(name, |sub| add(sub, &path));
    }
    match EXAMPLES.iter().find(|(known, _)| *known == path) {
        Some((_, example)) => command.after_help(format!("Example:\n  {example}")),
        None => command,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::CommandFactory;

    /// Words of a line as a shell reads them.
    fn words(line: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut is_quoted = false;
        for character in line.chars() {
            match character {
                '\'' => is_quoted = !is_quoted,
                ' ' if !is_quoted => words.push(String::new()),
                _ => words.last_mut().expect("there is a word").push(character),
            }
        }
        words
    }

    fn walk(command: &Command, path: &str, missing: &mut Vec<String>) {
        let is_shown = command.get_after_help().is_some_and(|help| help.to_string().contains("vigie "));
        if !is_shown {
            missing.push(path.to_owned());
        }
        for sub in command.get_subcommands().filter(|sub| sub.get_name() != "help") {
            walk(sub, format!("{path} {}", sub.get_name()).trim(), missing);
        }
    }

    #[test]
    fn every_command_has_help_with_an_example() {
        let mut missing = Vec::new();
        walk(&with_examples(Cli::command()), "", &mut missing);
        assert_eq!(missing, [""; 0], "commands without an example in EXAMPLES");
    }

    #[test]
    fn every_example_is_read_as_its_command() {
        for (path, example) in EXAMPLES {
            let read = Cli::command().try_get_matches_from(words(example));
            let matches = read.unwrap_or_else(|error| panic!("{example}: {error}"));
            let (mut matches, mut reached) = (&matches, Vec::new());
            while let Some((name, sub)) = matches.subcommand() {
                reached.push(name.to_owned());
                matches = sub;
            }
            assert!(reached.join(" ").starts_with(path), "{example} is read as '{}'", reached.join(" "));
        }
    }
}
