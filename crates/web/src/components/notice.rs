//! What the last form did, with its undo. Carried by a short-lived cookie, so everything in it is checked again.

use askama::Template;
use ops::issues::IssueStatus;

const IDS_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq, Template)]
#[template(path = "components/notice.html")]
pub struct Notice {
    pub status: IssueStatus,
    pub ids: Vec<i64>,
    /// The status to go back to.
    pub undo: IssueStatus,
    /// The page it is shown on, to come back to.
    pub path: String,
}

impl askama::filters::HtmlSafe for Notice {}

impl Notice {
    /// Returns the cookie's text: letters, digits, dots and hyphens.
    pub fn text(&self) -> String {
        let ids: Vec<String> = self.ids.iter().map(ToString::to_string).collect();
        format!("{}.{}.{}", self.status.as_str(), self.undo.as_str(), ids.join("-"))
    }

    /// Returns the notice, or `None` for anything we did not write (fails closed: nothing is shown).
    pub fn parse(text: &str, path: &str) -> Option<Notice> {
        let mut parts = text.split('.');
        let status = IssueStatus::parse(parts.next()?)?;
        let undo = IssueStatus::parse(parts.next()?)?;
        let ids: Vec<i64> = parts.next()?.split('-').map(|id| id.parse().ok()).collect::<Option<_>>()?;
        (parts.next().is_none() && ids.len() <= IDS_MAX).then(|| Notice { status, ids, undo, path: path.to_owned() })
    }

    fn sentence(&self) -> String {
        let count = crate::format::counted(i64::try_from(self.ids.len()).unwrap_or(0), "issue", "issues");
        match self.status {
            IssueStatus::Resolved => format!("{count} resolved."),
            IssueStatus::Ignored => format!("{count} ignored."),
            IssueStatus::Unresolved => format!("{count} unresolved again."),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_notices_are_shown() {
        let notice = Notice {
            status: IssueStatus::Resolved,
            undo: IssueStatus::Unresolved,
            ids: vec![1, 22],
            path: "/".to_owned(),
        };
        assert_eq!(Notice::parse(&notice.text(), "/"), Some(notice));
        for forged in ["", "resolved", "resolved.x.1", "resolved.unresolved.<b>", "resolved.unresolved.1.2"] {
            assert_eq!(Notice::parse(forged, "/"), None, "{forged}");
        }
    }
}
