//! `vigie members list | add | update | remove ORG …`.

use super::output;
use crate::cli::{Listing, Members};
use crate::config::Config;
use crate::local::Local;
use anyhow::Context;
use ops::members::{self, Member, MemberRef};
use std::process::ExitCode;

pub fn run(config: &Config, command: Members) -> anyhow::Result<ExitCode> {
    let local = Local::open(config)?;
    let caller = local.caller();
    match command {
        Members::List { org, listing } => {
            let members = local.wait(members::list(&local.ops, &caller, &org))?;
            if listing.json {
                output::json(&members.iter().map(ops::shapes::member).collect())?;
            } else {
                let row = |member: &Member| {
                    vec![member.user_id.to_string(), member.email.clone(), member.role.as_str().to_owned()]
                };
                output::table(&["ID", "EMAIL", "ROLE"], &members.iter().map(row).collect::<Vec<_>>())?;
            }
        }
        Members::Add(input) => {
            let added = members::add(&local.ops, &caller, &input.org, &input.email, &input.role);
            say(&local.wait(added)?, &input.org, input.listing)?;
        }
        Members::Update(input) => {
            let member = find(&local, &input.org, &input.email)?;
            let changed = members::update(&local.ops, &caller, &member, &input.role);
            say(&local.wait(changed)?, &input.org, input.listing)?;
        }
        Members::Remove { org, email } => {
            let member = find(&local, &org, &email)?;
            local.wait(members::remove(&local.ops, &caller, &member))?;
            output::line(&format!("{email} is no member of {org} any more"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn say(member: &Member, org: &str, listing: Listing) -> anyhow::Result<()> {
    match listing.json {
        true => output::json(&ops::shapes::member(member)),
        false => output::line(&format!("{} is {} of {org}", member.email, member.role.as_str())),
    }
}

fn find(local: &Local, org: &str, email: &str) -> anyhow::Result<MemberRef> {
    let members = local.wait(members::list(&local.ops, &local.caller(), org))?;
    let member = members.into_iter().find(|member| member.email.eq_ignore_ascii_case(email));
    let member = member.with_context(|| format!("{email} is no member of {org}"))?;
    Ok(MemberRef { org: org.to_owned(), member: member.user_id.to_string() })
}
