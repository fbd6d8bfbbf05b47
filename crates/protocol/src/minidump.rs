//! Crash reports of native programs, as crashpad and breakpad upload them: a form with a minidump, or the dump alone. A
//! report is rewritten as an envelope with an event and attachments, so that nothing behind this knows about it. Dumps
//! are not looked into beyond their head; one that is compressed is kept as it came.
//!
//! Source: `spec/ingest-protocol.md` §17, and the form that sentry-native's crashpad really sends.

mod event;

use crate::event_id::EventId;
use crate::limits::{ATTACHMENT_BYTES_MAX, EVENT_BYTES_MAX};
use crate::multipart::{Multipart, MultipartError, Part};
use event::{DUMP_HEAD_BYTES, Report};
use serde_json::json;
use std::io::{self, Read, Seek, SeekFrom, Write};

/// The field that holds the dump.
const DUMP_FIELD: &str = "upload_file_minidump";
const DUMP_NAME_DEFAULT: &str = "minidump.dmp";
const EVENT_FIELD: &str = "__sentry-event";
const BREADCRUMB_FIELDS: [&str; 2] = ["__sentry-breadcrumb1", "__sentry-breadcrumb2"];
const VIEW_HIERARCHY_FIELD: &str = "view-hierarchy.json";
/// How a dump begins, in both orders of bytes; then gzip, zstd, xz and bzip2, in any of which it may be wrapped.
const DUMP_STARTS: [&[u8]; 6] = [b"MDMP", b"PMDM", b"\x1f\x8b", b"\x28\xb5\x2f\xfd", b"\xfd7zXZ\0", b"BZh"];
/// Digits that every length can be written in, right-aligned: the length is known only when the part was written.
const LENGTH_CHARS: usize = 20;

#[derive(Debug, thiserror::Error)]
pub enum MinidumpError {
    #[error("missing minidump")]
    Missing,
    #[error("invalid minidump")]
    Invalid,
    #[error("read the crash report's form")]
    Form(#[from] MultipartError),
    #[error("read the minidump")]
    Read(#[source] io::Error),
    #[error("write the crash report as an envelope")]
    Write(#[from] io::Error),
}

/// Writes the form of a crash report as an envelope. Returns the event's id: the one that the report names, else `new_id`.
///
/// # Errors
/// If the form cannot be read or has no minidump.
pub fn form_to_envelope<W: Write + Seek>(
    body: impl Read,
    boundary: &str,
    new_id: EventId,
    out: &mut W,
) -> Result<EventId, MinidumpError> {
    let mut form = Multipart::new(body, boundary)?;
    let mut report = Report::default();
    let mut writer = EnvelopeWriter::begin(out, new_id)?;
    let mut fields_room = EVENT_BYTES_MAX;
    while let Some(part) = form.next_part()? {
        let is_dump = part.name == DUMP_FIELD && report.dump_head.is_empty();
        let is_field = part.filename.is_none() || part.name == EVENT_FIELD || is_breadcrumbs(&part.name);
        if is_field && !is_dump {
            let mut value = Vec::new();
            fields_room -= form.copy_body(fields_room, &mut value)?;
            add_field(&mut report, part.name, value);
            continue;
        }
        let mut head = Vec::new();
        writer.attachment(&part, is_dump, |out| {
            let mut out = Heading { out, head: &mut head };
            Ok(form.copy_body(ATTACHMENT_BYTES_MAX, &mut out)?)
        })?;
        if is_dump {
            report.dump_head = checked(head)?;
        }
    }
    if report.dump_head.is_empty() {
        return Err(MinidumpError::Missing);
    }
    writer.end(report, new_id)
}

/// Writes a minidump that came without a form as an envelope. Returns the event's id.
///
/// # Errors
/// If it is no minidump or cannot be read.
pub fn dump_to_envelope<W: Write + Seek>(
    mut body: impl Read,
    new_id: EventId,
    out: &mut W,
) -> Result<EventId, MinidumpError> {
    let mut writer = EnvelopeWriter::begin(out, new_id)?;
    let mut head = Vec::new();
    writer.attachment(&Part::default(), true, |out| {
        let mut out = Heading { out, head: &mut head };
        copy(&mut (&mut body).take(ATTACHMENT_BYTES_MAX), &mut out)
    })?;
    if head.is_empty() {
        return Err(MinidumpError::Missing);
    }
    writer.end(Report { dump_head: checked(head)?, ..Report::default() }, new_id)
}

fn add_field(report: &mut Report, name: String, value: Vec<u8>) {
    if name == EVENT_FIELD {
        report.event = value;
    } else if is_breadcrumbs(&name) {
        report.breadcrumbs.push(value);
    } else {
        report.fields.push((name, String::from_utf8_lossy(&value).into_owned()));
    }
}

fn is_breadcrumbs(name: &str) -> bool {
    BREADCRUMB_FIELDS.contains(&name)
}

fn checked(head: Vec<u8>) -> Result<Vec<u8>, MinidumpError> {
    match DUMP_STARTS.iter().any(|start| head.starts_with(start)) {
        true => Ok(head),
        false => Err(MinidumpError::Invalid),
    }
}

/// Reading and writing fail for different people, so they are told apart.
fn copy(from: &mut impl Read, to: &mut impl Write) -> Result<u64, MinidumpError> {
    let mut buffer = vec![0; 32 << 10];
    let mut length = 0;
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(length),
            Ok(read) => {
                to.write_all(&buffer[..read])?;
                length += read as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(MinidumpError::Read(error)),
        }
    }
}

/// Passes on what it gets and keeps the beginning.
struct Heading<'a> {
    out: &'a mut dyn Write,
    head: &'a mut Vec<u8>,
}

impl Write for Heading<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        let room = DUMP_HEAD_BYTES - self.head.len().min(DUMP_HEAD_BYTES);
        self.head.extend_from_slice(&bytes[..written.min(room)]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// An envelope that is written item by item; what is known only later is written over its place.
struct EnvelopeWriter<'w, W> {
    out: &'w mut W,
}

const HEADER_BEGIN: &str = "{\"event_id\":\"";

impl<'w, W: Write + Seek> EnvelopeWriter<'w, W> {
    fn begin(out: &'w mut W, id: EventId) -> Result<Self, MinidumpError> {
        out.write_all(format!("{HEADER_BEGIN}{id}\"}}\n").as_bytes())?;
        Ok(EnvelopeWriter { out })
    }

    fn attachment(
        &mut self,
        part: &Part,
        is_dump: bool,
        write: impl FnOnce(&mut dyn Write) -> Result<u64, MinidumpError>,
    ) -> Result<(), MinidumpError> {
        let kind = match (is_dump, part.name == VIEW_HIERARCHY_FIELD) {
            (true, _) => "event.minidump",
            (false, true) => "event.view_hierarchy",
            (false, false) => "event.attachment",
        };
        let default = if is_dump { DUMP_NAME_DEFAULT } else { part.name.as_str() };
        let name = part.filename.as_deref().filter(|name| !name.is_empty()).unwrap_or(default);
        let header =
            json!({ "filename": name, "content_type": part.content_type, "attachment_type": kind }).to_string();
        self.out.write_all(b"{\"type\":\"attachment\",\"length\":")?;
        let at = self.out.stream_position()?;
        self.out.write_all(format!("{:>LENGTH_CHARS$},{}\n", 0, &header[1..]).as_bytes())?;
        let length = write(self.out)?;
        self.out.write_all(b"\n")?;
        self.overwrite(at, &format!("{length:>LENGTH_CHARS$}"))
    }

    /// Writes the event, which is known once everything was read, and the id that it has.
    fn end(mut self, report: Report, new_id: EventId) -> Result<EventId, MinidumpError> {
        let mut event = report.into_event();
        let named = event.get("event_id").and_then(|id| id.as_str()?.parse::<EventId>().ok());
        let id = named.filter(|id| !id.is_nil()).unwrap_or(new_id);
        event.insert("event_id".to_owned(), json!(id));
        let payload = serde_json::Value::Object(event).to_string();
        self.out.write_all(format!("{{\"type\":\"event\",\"length\":{}}}\n{payload}\n", payload.len()).as_bytes())?;
        self.overwrite(HEADER_BEGIN.len() as u64, &id.to_string())?;
        Ok(id)
    }

    fn overwrite(&mut self, at: u64, text: &str) -> Result<(), MinidumpError> {
        self.out.seek(SeekFrom::Start(at))?;
        self.out.write_all(text.as_bytes())?;
        self.out.seek(SeekFrom::End(0))?;
        Ok(())
    }
}
