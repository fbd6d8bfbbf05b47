//! `vigie tokens create | list | revoke`.

use super::output;
use crate::cli::Tokens;
use crate::config::Config;
use crate::local::Local;
use ops::tokens::CreateToken;
use serde_json::json;
use std::process::ExitCode;

pub fn run(config: &Config, command: Tokens) -> anyhow::Result<ExitCode> {
    let local = Local::open(config)?;
    match command {
        Tokens::Create { email, scope, listing } => {
            let input = CreateToken { email: Some(email), scopes: scope };
            let created = local.wait(ops::tokens::create(&local.ops, &local.caller(), input))?;
            if listing.json {
                let (token, scopes) = (created.text.expose(), &created.token.scopes);
                output::json(&json!({ "id": created.token.id.to_string(), "token": token, "scopes": scopes }))?;
            } else {
                output::line(created.text.expose())?;
            }
        }
        Tokens::List(listing) => {
            let tokens = local.wait(ops::tokens::list(&local.ops, &local.caller()))?;
            if listing.json {
                let shape = |token: &ops::tokens::Token| {
                    json!({
                        "id": token.id.to_string(), "email": token.user_email, "hint": token.hint,
                        "scopes": token.scopes, "dateCreated": token.created_at.to_rfc3339(),
                        "revoked": token.revoked_at.is_some(),
                    })
                };
                output::json(&tokens.iter().map(shape).collect())?;
            } else {
                let row = |token: &ops::tokens::Token| {
                    let state = if token.revoked_at.is_some() { "revoked" } else { "active" };
                    let hint = format!("…{}", token.hint);
                    vec![token.id.to_string(), token.user_email.clone(), hint, state.to_owned(), token.scopes.join(" ")]
                };
                let rows: Vec<Vec<String>> = tokens.iter().map(row).collect();
                output::table(&["ID", "USER", "TOKEN", "STATE", "SCOPES"], &rows)?;
            }
        }
        Tokens::Revoke { id } => {
            local.wait(ops::tokens::revoke(&local.ops, &local.caller(), id))?;
            output::line(&format!("revoked token {id}"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
