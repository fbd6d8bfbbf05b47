//! Events of issues and projects, their raw JSON, receipts and attachments.

use super::file_body::FileBody;
use super::request::{Answer, ApiRequest};
use super::shapes;
use ops::events::{self, IssueEvent, ListIssueEvents, ListProjectEvents};
use ops::{ApiError, attachments, receipts};
use serde_json::{Map, Value, json};

pub(super) async fn list_of_issue(request: ApiRequest) -> Result<Answer, ApiError> {
    let input =
        ListIssueEvents { issue: request.issue(), environments: request.all("environment"), page: request.page()? };
    let page = events::list_of_issue(&request.ops, &request.caller, input).await?;
    Ok(request.answer_page(&page, shapes::event_summary))
}

pub(super) async fn list_of_project(request: ApiRequest) -> Result<Answer, ApiError> {
    let input = ListProjectEvents { project: request.project(), page: request.page()? };
    let page = events::list_of_project(&request.ops, &request.caller, input).await?;
    Ok(request.answer_page(&page, shapes::event_summary))
}

pub(super) async fn get_of_issue(request: ApiRequest) -> Result<Answer, ApiError> {
    let event = match request.param("event_id") {
        // "Recommended" weighs events by what they carry; the latest is what it falls back to.
        "latest" | "recommended" => IssueEvent::Latest,
        "oldest" => IssueEvent::Oldest,
        id => IssueEvent::Id(id.to_owned()),
    };
    let detail = events::get_of_issue(&request.ops, &request.caller, &request.issue(), &event).await?;
    Ok(Answer::ok(shapes::event(&detail)))
}

pub(super) async fn get(request: ApiRequest) -> Result<Answer, ApiError> {
    let detail = events::get(&request.ops, &request.caller, &request.event()).await?;
    Ok(Answer::ok(shapes::event(&detail)))
}

pub(super) async fn raw_json(request: ApiRequest) -> Result<Answer, ApiError> {
    events::raw_json(&request.ops, &request.caller, &request.event()).await.map(Answer::JsonText)
}

pub(super) async fn receipt(request: ApiRequest) -> Result<Answer, ApiError> {
    let receipt = receipts::get(&request.ops, &request.caller, &request.event()).await?;
    Ok(Answer::ok(shapes::receipt(&receipt)))
}

/// `GET …/grouping-info/`: how the event is grouped now, in Sentry's shape, and beside it what was stored and decided.
pub(super) async fn grouping_info(request: ApiRequest) -> Result<Answer, ApiError> {
    let grouping = events::grouping(&request.ops, &request.caller, &request.event()).await?;
    let mut variants: Map<String, Value> = Map::new();
    for variant in &grouping.variants {
        variants.insert(variant.name.clone(), shape_of_variant(variant, &grouping));
    }
    Ok(Answer::ok(json!({
        "grouping_config": grouping.config,
        "variants": variants,
        "hashes": grouping.hashes,
        "stored": grouping.stored,
        "fingerprint": grouping.explanation["fingerprint"],
        "stacks": grouping.explanation["stacks"],
    })))
}

fn shape_of_variant(variant: &events::GroupingVariant, grouping: &events::EventGrouping) -> Value {
    let has_fingerprint = grouping.explanation["fingerprint"]["entries"].as_array().is_some_and(|list| list.len() > 1);
    let kind = match variant.name.as_str() {
        "app" | "system" | "default" if has_fingerprint => "salted_component",
        "app" | "system" | "default" => "component",
        name => name,
    };
    json!({
        "key": variant.name,
        "type": kind,
        "description": variant.name.replace('_', " "),
        "hash": variant.hash,
        "hashMismatch": variant.is_new,
        "contributes": variant.contributes,
        "hint": variant.hint,
        "component": variant.component,
        "config": {"id": grouping.config},
    })
}

pub(super) async fn attachments(request: ApiRequest) -> Result<Answer, ApiError> {
    let attachments = attachments::list(&request.ops, &request.caller, &request.event()).await?;
    Ok(Answer::list(&attachments, shapes::attachment))
}

/// `GET …/attachments/{id}/`: metadata, or the bytes with `?download`.
pub(super) async fn attachment(request: ApiRequest) -> Result<Answer, ApiError> {
    let id = request.param("attachment").parse().map_err(|_| ApiError::NotFound)?;
    if request.first("download").is_none() {
        let all = attachments::list(&request.ops, &request.caller, &request.event()).await?;
        let attachment = all.iter().find(|attachment| attachment.id == id).ok_or(ApiError::NotFound)?;
        return Ok(Answer::ok(shapes::attachment(attachment)));
    }
    let open = attachments::open(&request.ops, &request.caller, &request.event(), id).await?;
    Ok(Answer::Download { name: open.attachment.name, body: FileBody::of(open.file, open.attachment.size_bytes) })
}
