//! `/system/config/`: every key of the configuration with its value and source; what may stand in the store is set here.

use super::Tab;
use crate::error::PageError;
use crate::format::{absolute, query_string};
use crate::pages::html;
use crate::shell::{Nav, Shell};
use crate::state::WebState;
use crate::viewer::Viewer;
use askama::Template;
use axum::extract::{Form, Query, State};
use axum::response::{IntoResponse, Redirect, Response};
use ops::ApiError;
use ops::options::{self, OptionView};
use serde::Deserialize;

#[derive(Template)]
#[template(path = "system/config.html")]
pub struct ConfigPage {
    pub shell: Shell,
    pub rows: Vec<KeyView>,
    pub said: Option<String>,
}

pub struct KeyView {
    pub name: &'static str,
    pub help: &'static str,
    pub takes: String,
    /// Empty = not set.
    pub value: String,
    pub source: String,
    pub is_live: bool,
    pub is_secret: bool,
    /// A form is shown.
    pub can_be_set: bool,
    /// The store has a value: it can be unset.
    pub is_stored: bool,
    /// Who set it and when.
    pub changed: Option<String>,
}

#[derive(Default, Deserialize)]
pub struct ConfigQuery {
    /// The option that has just been changed.
    changed: Option<String>,
}

#[derive(Deserialize)]
pub struct ChangeForm {
    act: String,
    name: String,
    #[serde(default)]
    value: String,
}

/// `GET /system/config/`
pub async fn show(
    State(state): State<WebState>,
    viewer: Viewer,
    Query(query): Query<ConfigQuery>,
) -> Result<Response, PageError> {
    let views = options::list(&state.ops, &viewer.caller).await?;
    let changed = query.changed.and_then(|name| views.iter().find(|view| view.known.name == name));
    let said = changed.map(|view| match view.known.is_live {
        true => format!("{} is changed; every process follows within five seconds.", view.known.name),
        false => format!("{} is changed; it takes effect when Vigie is restarted.", view.known.name),
    });
    let shell = Shell::of(&state, &viewer, Nav::System, "Configuration");
    html(&ConfigPage { shell, rows: views.iter().map(KeyView::of).collect(), said })
}

/// `POST /system/config/` with `act` (set or unset), `name` and `value`.
pub async fn change(
    State(state): State<WebState>,
    viewer: Viewer,
    Form(form): Form<ChangeForm>,
) -> Result<Response, PageError> {
    match form.act.as_str() {
        "set" => {
            options::set(&state.ops, &viewer.caller, &form.name, form.value.trim()).await?;
        }
        "unset" => {
            options::delete(&state.ops, &viewer.caller, &form.name).await?;
        }
        _ => return Err(ApiError::invalid("The form says neither set nor unset.").into()),
    }
    let query = query_string(&[("changed", &form.name)]);
    Ok(Redirect::to(&format!("{}{query}", Tab::Config.path())).into_response())
}

impl ConfigPage {
    fn tab(&self) -> Tab {
        Tab::Config
    }
}

impl KeyView {
    pub fn of(view: &OptionView) -> KeyView {
        let known = &view.known;
        let changed = |row: &store::options::OptionRow| {
            format!("{} by {} ({})", absolute(row.changed_at), row.changed_by, row.channel)
        };
        KeyView {
            name: known.name,
            help: known.help,
            takes: known.takes.clone(),
            value: view.value.clone(),
            source: view.source.clone(),
            is_live: known.is_live,
            is_secret: known.is_secret,
            can_be_set: view.can_be_set(),
            is_stored: view.stored.is_some(),
            changed: view.stored.as_ref().map(changed),
        }
    }
}
