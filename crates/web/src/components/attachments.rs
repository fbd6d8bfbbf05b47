//! The attachments of an event, to download. They are never shown in place: a stranger made them.

use askama::Template;

#[derive(Clone, Debug, Template)]
#[template(path = "components/attachments.html")]
pub struct Attachments {
    files: Vec<AttachedFile>,
}

impl askama::filters::HtmlSafe for Attachments {}

#[derive(Clone, Debug)]
struct AttachedFile {
    url: String,
    name: String,
    content_type: String,
    size: String,
}

impl Attachments {
    /// `event_url` is the event's page, with its final slash.
    pub fn of(list: &[ops::attachments::Attachment], event_url: &str) -> Attachments {
        let files = list.iter().map(|attachment| AttachedFile {
            url: format!("{event_url}attachments/{}/", attachment.id),
            name: crate::event_json::cut_to(&attachment.name, 200).into_owned(),
            content_type: crate::event_json::cut_to(&attachment.content_type, 100).into_owned(),
            size: crate::format::bytes(attachment.size_bytes),
        });
        Attachments { files: files.collect() }
    }

    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }
}
