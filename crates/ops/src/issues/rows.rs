//! Stored issues become what people read: with project, short id and link.

use super::{Issue, IssueProject, IssueStatus};
use crate::context::Failure;
use crate::projects::Project;
use db::Tx;
use std::collections::HashMap;
use store::issues::IssueRow;

/// Returns the issues of `ids` in that order. Those that went away meanwhile, or whose project is not among `projects`,
/// are left out.
pub(crate) fn load(
    tx: &mut Tx<'_>,
    ids: &[i64],
    projects: &[Project],
    public_url: &str,
) -> Result<Vec<Issue>, Failure> {
    let mut by_id: HashMap<i64, IssueRow> =
        store::issues::rows(tx, ids)?.into_iter().map(|row| (row.id, row)).collect();
    let mut issues = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(row) = by_id.remove(id) else { continue };
        if let Some(project) = projects.iter().find(|project| project.id == row.project_id) {
            issues.push(issue(row, project, public_url));
        }
    }
    Ok(issues)
}

/// Returns the issue as people read it.
pub(crate) fn issue(row: IssueRow, project: &Project, public_url: &str) -> Issue {
    Issue {
        short_id: store::short_id::format(&project.short_prefix, row.short_no),
        project: IssueProject {
            id: project.id,
            slug: project.slug.clone(),
            name: project.name.clone(),
            platform: project.platform.clone(),
            org_id: project.organization.id,
            org_slug: project.organization.slug.clone(),
        },
        permalink: format!("{public_url}/issues/{}/", row.id),
        // The schema lets nothing else in; an issue of a later release is shown rather than hidden.
        status: IssueStatus::parse(&row.status).unwrap_or(IssueStatus::Unresolved),
        metadata: serde_json::from_str(&row.metadata).unwrap_or_default(),
        id: row.id,
        kind: row.kind,
        title: row.title,
        culprit: row.culprit,
        platform: row.platform,
        logger: row.logger,
        level: row.level,
        substatus: row.substatus,
        status_at: row.status_at,
        is_unhandled: row.is_unhandled,
        first_seen: row.first_seen,
        last_seen: row.last_seen,
        event_count: row.event_count,
        user_count: row.user_count,
        first_release: row.first_release,
        last_release: row.last_release,
        series: None,
    }
}
