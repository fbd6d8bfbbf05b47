//! Sentry's JSON shapes of what operations return, shared by the web API and the commands. Facts of the shapes: what
//! sentry-cli 2 and 3 read, and <https://docs.sentry.io/api/>.

use crate::audit::Entry;
use crate::conservation::WrittenOff;
use crate::keys::Key;
use crate::members::Member;
use crate::organizations::Organization;
use crate::permissions::Permission;
use crate::projects::Project;
use crate::queues::QueueDepth;
use crate::schedules::ScheduleRow;
use crate::spools::HeldSpool;
use crate::tokens::{CreatedToken, Token};
use crate::users::User;
use crate::workers::{Parked, Worker};
use serde_json::{Value, json};

/// `features` may not be missing: sentry-cli 3 refuses an organization without it.
pub fn organization(org: &Organization) -> Value {
    json!({
        "id": org.id.to_string(),
        "slug": org.slug,
        "name": org.name,
        "dateCreated": org.created_at.to_rfc3339(),
        "status": {"id": "active", "name": "active"},
        "isEarlyAdopter": false,
        "require2FA": false,
        "requireEmailVerification": false,
        "avatar": {"avatarType": "letter_avatar", "avatarUuid": null},
        "features": [],
        "access": [],
    })
}

pub fn project(project: &Project) -> Value {
    json!({
        "id": project.id.to_string(),
        "slug": project.slug,
        "name": project.name,
        "platform": project.platform,
        "status": if project.is_active { "active" } else { "disabled" },
        "dateCreated": project.created_at.to_rfc3339(),
        "firstEvent": project.first_event_at.map(stdx::Timestamp::to_rfc3339),
        "features": [],
        "team": null,
        "teams": [],
        "isBookmarked": false,
        "isMember": true,
        "hasAccess": true,
        "isPublic": false,
        "isInternal": false,
        "avatar": {"avatarType": "letter_avatar", "avatarUuid": null},
        "organization": organization(&project.organization),
    })
}

pub fn key(public_url: &str, key: &Key) -> Value {
    let (public, project) = (&key.public_key, key.project_id);
    let address = |path: &str| format!("{public_url}/api/{project}/{path}/?sentry_key={public}");
    json!({
        "id": public,
        "name": key.label,
        "label": key.label,
        "public": public,
        "secret": key.secret_key,
        "projectId": project,
        "isActive": key.is_active,
        "rateLimit": null,
        "dsn": {
            "public": key.dsn_public,
            "secret": dsn(public_url, &format!("{public}:{}", key.secret_key), project),
            "csp": address("csp-report"),
            "security": address("security"),
            "minidump": address("minidump"),
            "nel": address("nel"),
            "unreal": format!("{public_url}/api/{project}/unreal/{public}/"),
            "crons": format!("{public_url}/api/{project}/cron/___MONITOR_SLUG___/{public}/"),
            "cdn": format!("{public_url}/js-sdk-loader/{public}.min.js"),
        },
        "browserSdkVersion": "latest",
        "browserSdk": {"choices": []},
        "dateCreated": key.created_at.to_rfc3339(),
        "dynamicSdkLoaderOptions": {"hasReplay": false, "hasPerformance": false, "hasDebug": false},
    })
}

/// Returns the DSN of a project for `user` (`public` or `public:secret`) at the public address.
pub fn dsn(public_url: &str, user: &str, project_id: i64) -> String {
    match public_url.split_once("://") {
        Some((scheme, rest)) => format!("{scheme}://{user}@{rest}/{project_id}"),
        None => format!("http://{user}@{public_url}/{project_id}"),
    }
}

pub fn token(token: &Token) -> Value {
    json!({
        "id": token.id.to_string(),
        "user": token.user_email,
        "hint": token.hint,
        "scopes": token.scopes,
        "dateCreated": token.created_at.to_rfc3339(),
        "lastUsed": token.last_used_at.map(stdx::Timestamp::to_rfc3339),
        "revoked": token.revoked_at.map(stdx::Timestamp::to_rfc3339),
    })
}

/// The one answer that shows the token's text.
pub fn created_token(created: &CreatedToken) -> Value {
    let mut shape = token(&created.token);
    shape["token"] = Value::from(created.text.expose().as_str());
    shape
}

pub fn user(user: &User) -> Value {
    json!({
        "id": user.id.to_string(),
        "email": user.email,
        "username": user.email,
        "name": user.name,
        "isActive": user.is_active,
        "isSuperuser": user.is_superuser,
        "isStaff": user.is_superuser,
        "hasPasswordAuth": user.has_password,
        "permissions": user.permissions.names(),
        "dateJoined": user.created_at.to_rfc3339(),
        "lastLogin": user.last_login_at.map(stdx::Timestamp::to_rfc3339),
    })
}

pub fn permission(permission: Permission) -> Value {
    json!({"permission": permission.as_str(), "description": permission.description()})
}

/// A member, named by the person's id.
pub fn member(member: &Member) -> Value {
    let id = member.user_id.to_string();
    json!({
        "id": id,
        "email": member.email,
        "name": member.name,
        "role": member.role.as_str(),
        "orgRole": member.role.as_str(),
        "pending": false,
        "expired": false,
        "inviteStatus": "approved",
        "dateCreated": member.created_at.to_rfc3339(),
        "user": {
            "id": id, "email": member.email, "name": member.name, "username": member.email,
            "isActive": member.is_active, "isSuperuser": member.is_superuser,
        },
    })
}

/// Sentry's entry, with our ways in (`channel`) beside it.
pub fn audit_entry(entry: &Entry) -> Value {
    json!({
        "id": entry.id.to_string(),
        "actor": {"id": entry.actor_id.map(|id| id.to_string()), "name": entry.actor, "username": entry.actor},
        "event": entry.action,
        "note": if entry.detail.is_empty() { entry.target.clone() } else { format!("{}: {}", entry.target, entry.detail) },
        "target": entry.target,
        "detail": entry.detail,
        "channel": entry.channel,
        "requestId": entry.request_id,
        "dateCreated": entry.at.to_rfc3339(),
    })
}

pub fn queue(depth: &QueueDepth) -> Value {
    json!({
        "queue": depth.queue,
        "ready": depth.ready,
        "delayed": depth.delayed,
        "leased": depth.leased,
        "dead": depth.dead,
        "parked": depth.parked,
        "oldest_age_s": depth.oldest_age_s,
        "paused": depth.paused,
    })
}

/// A worker's row with whether it lives.
pub fn worker(worker: &Worker) -> Value {
    let mut row = serde_json::to_value(&worker.row).unwrap_or_default();
    row["alive"] = json!(worker.is_alive);
    row
}

pub fn schedule(row: &ScheduleRow) -> Value {
    json!({
        "name": row.name, "when": row.when, "task": row.task, "queue": row.queue,
        "last": row.last.as_ref().map(|cursor| cursor.scheduled_at.to_string()),
        "fired": row.last.as_ref().map(|cursor| cursor.fired_at.to_string()),
        "job": row.last.as_ref().map(|cursor| &cursor.job),
        "lateness_s": row.lateness.map(|lateness| lateness.as_secs_f64()),
        "next": row.next.map(|next| next.to_string()),
        "result": row.outcome(),
        "last_failure": row.last_failure.as_ref().map(|letter| {
            json!({"job": letter.id, "at": letter.at.to_string(), "reason": letter.reason, "error": letter.error})
        }),
    })
}

pub fn spool(spool: &HeldSpool) -> Value {
    json!({
        "id": spool.row.id, "holder": spool.row.holder, "folder": spool.row.folder, "jobs": spool.row.jobs,
        "bytes": spool.row.bytes, "oldest_age_s": spool.oldest_age.map(|age| age.as_secs()),
        "heard_at": spool.row.heard_at.to_rfc3339(), "is_heard": spool.is_heard,
    })
}

pub fn parked(parked: &Parked) -> Value {
    json!({
        "queue": parked.queue, "task": parked.task, "jobs": parked.jobs, "since": parked.since.to_rfc3339(),
    })
}

pub fn written_off(written: &WrittenOff) -> Value {
    json!({ "events": written.events, "was_emptied": written.was_emptied })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dsn_keeps_scheme_port_and_path() {
        assert_eq!(dsn("https://a.example:9000/vigie", "k", 3), "https://k@a.example:9000/vigie/3");
    }
}
