//! Light, dark, or as the system says: remembered in a cookie, so that the page arrives in the right colours.

use crate::viewer::Theme;
use crate::{cookies, local_path};
use axum::extract::Form;
use axum::http::header;
use axum::response::{AppendHeaders, IntoResponse, Redirect, Response};
use serde::Deserialize;

#[derive(Deserialize)]
pub struct ThemeForm {
    theme: String,
    next: Option<String>,
}

/// `POST /settings/theme/`: open to everybody, it changes the caller's own cookie only.
pub async fn set(Form(form): Form<ThemeForm>) -> Response {
    let cookie = cookies::theme(Theme::parse(&form.theme).as_str());
    let next = local_path::or_home(form.next.as_deref());
    (AppendHeaders([(header::SET_COOKIE, cookie)]), Redirect::to(next)).into_response()
}
