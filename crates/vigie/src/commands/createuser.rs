//! `vigie createuser`, in the options and words that operators know from Sentry. What is missing is asked for on a
//! terminal; `--no-input` makes it an error.

use super::{ask, output};
use crate::cli::CreateUser;
use crate::config::Config;
use crate::local::Local;
use ops::ApiError;
use ops::users::User;
use std::process::ExitCode;
use stdx::Redacted;

pub fn run(config: &Config, input: CreateUser) -> anyhow::Result<ExitCode> {
    let may_ask = !input.no_input && ask::is_possible();
    let emails = match input.email.as_slice() {
        [] if may_ask => vec![ask::line("Email")?],
        [] => anyhow::bail!("Invalid or missing email address."),
        emails => emails.to_vec(),
    };
    let password = password(&input, may_ask)?;
    let is_superuser = is_superuser(&input, may_ask)?;
    if (input.staff || input.no_staff) && !input.listing.json {
        output::line("Whoever is a superuser is staff: --staff and --no-staff change nothing.")?;
    }
    let local = Local::open(config)?;
    let (mut made, mut has_refused) = (Vec::new(), false);
    for email in emails {
        let create = ops::users::CreateUser {
            email: email.clone(),
            name: None,
            password: password.clone(),
            is_superuser,
            org: input.org_id.clone(),
            force_update: input.force_update,
        };
        match local.try_wait(ops::users::create(&local.ops, &local.caller(), create)) {
            Ok(user) => made.push(user),
            // The others are still made.
            Err(ApiError::Conflict { .. }) => {
                has_refused = true;
                if !input.listing.json {
                    output::line(&format!("User: {email} exists, use --force-update to force."))?;
                }
            }
            Err(error) => return Err(Local::shown(error)),
        }
    }
    say(&made, input.listing.json)?;
    Ok(if has_refused { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn say(made: &[User], is_json: bool) -> anyhow::Result<()> {
    if is_json {
        return output::json(&made.iter().map(ops::shapes::user).collect());
    }
    for user in made {
        let status = if user.is_superuser { ", superuser" } else { "" };
        output::line(&format!("user {} (id {}{status})", user.email, user.id))?;
    }
    Ok(())
}

fn password(input: &CreateUser, may_ask: bool) -> anyhow::Result<Option<Redacted<String>>> {
    let password = match &input.password {
        _ if input.no_password => return Ok(None),
        Some(password) => password.clone(),
        None if may_ask => ask::secret("Password")?,
        None => String::new(),
    };
    anyhow::ensure!(!password.is_empty(), "No password set and --no-password not passed.");
    Ok(Some(Redacted::new(password)))
}

/// `None` leaves a known person as they are, and makes a new one no superuser.
fn is_superuser(input: &CreateUser, may_ask: bool) -> anyhow::Result<Option<bool>> {
    match (input.superuser, input.no_superuser) {
        (true, _) => Ok(Some(true)),
        (false, true) => Ok(Some(false)),
        (false, false) if may_ask && !input.force_update => {
            Ok(Some(ask::is_agreed("Should this user be a superuser?")?))
        }
        (false, false) => Ok(None),
    }
}
