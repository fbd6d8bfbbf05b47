//! `vigie createuser`: create or update a person who may log in.

use super::{Usage, output};
use crate::cli::CreateUser;
use crate::config::Config;
use crate::local::Local;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use stdx::Redacted;

pub fn run(config: &Config, input: CreateUser) -> anyhow::Result<ExitCode> {
    let password = password_of(&input)?;
    let local = Local::open(config)?;
    let create = ops::users::CreateUser {
        email: input.email,
        name: None,
        password: password.map(Redacted::new),
        is_superuser: input.superuser.then_some(true),
        org: None,
        force_update: input.force_update,
    };
    let user = local.wait(ops::users::create(&local.ops, &local.caller(), create))?;
    output::line(&format!("user {} (id {})", user.email, user.id))?;
    Ok(ExitCode::SUCCESS)
}

/// The password from the flag, or asked for on a terminal.
fn password_of(input: &CreateUser) -> anyhow::Result<Option<String>> {
    if input.no_password {
        return Ok(None);
    }
    if let Some(password) = &input.password {
        return Ok(Some(password.clone()));
    }
    if input.no_input || !std::io::stdin().is_terminal() {
        return Err(Usage("a password is missing: give --password or --no-password".to_owned()).into());
    }
    write!(std::io::stderr(), "Password: ")?;
    let mut password = String::new();
    std::io::stdin().read_line(&mut password)?;
    Ok(Some(password.trim_end_matches(['\r', '\n']).to_owned()))
}
