//! Attachments: files sent beside an event, or alone with its id. Looks only at headers, never into the file.

use crate::envelope::ItemHeader;

/// Name of an attachment without one.
pub const FILENAME_DEFAULT: &str = "attachment";
/// Content type of an attachment without one.
pub const CONTENT_TYPE_DEFAULT: &str = "application/octet-stream";
/// A placeholder for a file that was uploaded on its own.
pub const PLACEHOLDER_TYPE: &str = "application/vnd.sentry.attachment-ref+json";
/// A file of a trace, with JSON metadata before it.
pub const TRACE_ATTACHMENT_TYPE: &str = "application/vnd.sentry.trace-attachment";

macro_rules! attachment_kinds {
    ($($variant:ident $name:literal,)*) => {
        /// What an attachment is for: its header `attachment_type`.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub enum AttachmentKind {
            $($variant,)*
            /// A type that we do not know; kept as an ordinary file.
            Unknown,
        }

        impl AttachmentKind {
            pub const KNOWN: &[AttachmentKind] = &[$(AttachmentKind::$variant,)*];

            pub fn from_name(name: &str) -> Self {
                match name {
                    $($name => AttachmentKind::$variant,)*
                    _ => AttachmentKind::Unknown,
                }
            }

            /// Returns the name of a known kind, `unknown` for any other.
            pub const fn label(self) -> &'static str {
                match self {
                    $(AttachmentKind::$variant => $name,)*
                    AttachmentKind::Unknown => "unknown",
                }
            }
        }
    };
}

attachment_kinds! {
    Attachment "event.attachment",
    Minidump "event.minidump",
    AppleCrashReport "event.applecrashreport",
    EventPayload "event.payload",
    Breadcrumbs "event.breadcrumbs",
    ViewHierarchy "event.view_hierarchy",
    UnrealContext "unreal.context",
    UnrealLogs "unreal.logs",
    ProsperoDump "playstation.prosperodump",
    NintendoDyingMessage "nswitch.dying_message",
}

impl AttachmentKind {
    /// Returns whether an error event comes out of such a file alone.
    pub const fn creates_event(self) -> bool {
        match self {
            AttachmentKind::Minidump
            | AttachmentKind::AppleCrashReport
            | AttachmentKind::EventPayload
            | AttachmentKind::Breadcrumbs
            | AttachmentKind::ProsperoDump => true,
            AttachmentKind::Attachment
            | AttachmentKind::ViewHierarchy
            | AttachmentKind::UnrealContext
            | AttachmentKind::UnrealLogs
            | AttachmentKind::NintendoDyingMessage
            | AttachmentKind::Unknown => false,
        }
    }
}

impl ItemHeader<'_> {
    /// Returns what an attachment is for; the ordinary kind when the client does not say.
    pub fn attachment_kind(&self) -> AttachmentKind {
        self.attachment_type.as_deref().map_or(AttachmentKind::Attachment, AttachmentKind::from_name)
    }

    /// Returns the attachment's file name. It is hostile text, not a path.
    pub fn attachment_name(&self) -> &str {
        self.filename.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(FILENAME_DEFAULT)
    }

    /// Returns the attachment's content type as the client claims it.
    pub fn attachment_content_type(&self) -> &str {
        self.content_type.as_deref().filter(|name| !name.trim().is_empty()).unwrap_or(CONTENT_TYPE_DEFAULT)
    }

    /// Returns whether an attachment is a picture of the screen.
    pub fn is_screenshot(&self) -> bool {
        self.attachment_kind() == AttachmentKind::Attachment
            && self.attachment_name().to_ascii_lowercase().contains("screenshot")
            && self.attachment_content_type().starts_with("image/")
    }

    /// Returns whether an attachment only says where its file is, or where none is.
    pub fn is_attachment_placeholder(&self) -> bool {
        self.content_type.as_deref() == Some(PLACEHOLDER_TYPE)
    }
}
