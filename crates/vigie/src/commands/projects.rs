//! `vigie projects list | create | update | delete ORG/SLUG | import-hashes ORG/SLUG FILE`.

mod import;

use super::{Usage, ask, output};
use crate::cli::{Listing, Projects};
use crate::config::Config;
use crate::local::Local;
use ops::projects::{CreateProject, Project, ProjectRef, UpdateProject};
use serde_json::json;
use std::process::ExitCode;

pub fn run(config: &Config, command: Projects) -> anyhow::Result<ExitCode> {
    let local = Local::open(config)?;
    match command {
        Projects::List(listing) => {
            let projects = local.wait(ops::projects::list(&local.ops, &local.caller(), None))?;
            if listing.json {
                output::json(&projects.iter().map(shape).collect())?;
            } else {
                let rows: Vec<Vec<String>> = projects.iter().map(row).collect();
                output::table(&["ID", "PROJECT", "PLATFORM", "LAST EVENT"], &rows)?;
            }
        }
        Projects::Create { project, platform, listing } => {
            let ProjectRef { org, project } = parse_project(&project)?;
            let input = CreateProject { org, slug: project, name: None, platform };
            let project = local.wait(ops::projects::create(&local.ops, &local.caller(), input))?;
            say("created", &project, listing)?;
        }
        Projects::Update { project, name, slug, platform, listing } => {
            let input = UpdateProject { project: parse_project(&project)?, name, slug, platform };
            let project = local.wait(ops::projects::update(&local.ops, &local.caller(), input))?;
            say("changed", &project, listing)?;
        }
        Projects::Delete { project, force } => {
            let wanted = parse_project(&project)?;
            local.wait(ops::projects::get(&local.ops, &local.caller(), &wanted))?;
            if !force {
                anyhow::ensure!(ask::is_possible(), "not asked on a terminal; say --force to delete {project}");
                let question = format!("Delete the project {project}? Its DSNs are refused from then on");
                anyhow::ensure!(ask::is_agreed(&question)?, "nothing was deleted");
            }
            local.wait(ops::projects::delete(&local.ops, &local.caller(), &wanted))?;
            output::line(&format!("deleted {project}"))?;
        }
        Projects::ImportHashes { project, file, listing } => {
            let done = import::run(&local, &parse_project(&project)?, &file)?;
            if listing.json {
                output::json(&serde_json::to_value(done)?)?;
            } else {
                output::line(&format!(
                    "{} hashes linked to issues, {} issues made, {} hashes were known",
                    done.hashes_linked, done.issues_created, done.hashes_known
                ))?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn say(done: &str, project: &Project, listing: Listing) -> anyhow::Result<()> {
    match listing.json {
        true => output::json(&shape(project)),
        false => output::line(&format!("{done} {}/{} (id {})", project.organization.slug, project.slug, project.id)),
    }
}

/// Reads `ORG/SLUG`.
///
/// # Errors
/// Usage, naming the form.
pub fn parse_project(text: &str) -> anyhow::Result<ProjectRef> {
    match text.split_once('/') {
        Some((org, project)) if !org.is_empty() && !project.is_empty() && !project.contains('/') => {
            Ok(ProjectRef { org: org.to_owned(), project: project.to_owned() })
        }
        _ => Err(Usage(format!("'{text}' is not a project: expected ORG/SLUG, such as default/default")).into()),
    }
}

fn shape(project: &Project) -> serde_json::Value {
    json!({
        "id": project.id.to_string(),
        "slug": project.slug,
        "name": project.name,
        "platform": project.platform,
        "organization": { "id": project.organization.id.to_string(), "slug": project.organization.slug },
    })
}

fn row(project: &Project) -> Vec<String> {
    vec![
        project.id.to_string(),
        format!("{}/{}", project.organization.slug, project.slug),
        project.platform.clone().unwrap_or_default(),
        project.last_event_at.map(|at| at.to_rfc3339()).unwrap_or_else(|| "never".to_owned()),
    ]
}
