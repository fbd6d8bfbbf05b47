//! The ways to the neighbouring pages of a list.

use crate::format::url_part;
use askama::Template;
use ops::page::PageLink;

#[derive(Clone, Debug, Template)]
#[template(path = "components/pager.html")]
pub struct Pager {
    previous: Option<String>,
    next: Option<String>,
}

impl askama::filters::HtmlSafe for Pager {}

impl Pager {
    /// `path` is the list's address with everything but the cursor.
    pub fn of(path: &str, previous: &PageLink, next: &PageLink) -> Pager {
        let joint = if path.contains('?') { '&' } else { '?' };
        let link =
            |link: &PageLink| link.has_results.then(|| format!("{path}{joint}cursor={}", url_part(&link.cursor)));
        Pager { previous: link(previous), next: link(next) }
    }

    /// A list without pages.
    pub fn none() -> Pager {
        Pager { previous: None, next: None }
    }

    pub fn is_empty(&self) -> bool {
        self.previous.is_none() && self.next.is_none()
    }
}
