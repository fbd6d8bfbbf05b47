//! Multipart forms (RFC 7578), read as a stream: a part's bytes go where the caller wants them and are never held here.
//! Names and file names are hostile text; they are not looked at beyond their quotes.

use std::io::{self, Read, Write};

/// Parts of one form. Crash reports have under ten, and an attachment for each log file.
pub const PARTS_MAX: usize = 200;
/// Longest boundary that is taken. RFC 2046 allows 70 characters.
const BOUNDARY_BYTES_MAX: usize = 200;
/// Longest line of a part's head, and how many there may be.
const HEAD_LINE_BYTES_MAX: u64 = 8 << 10;
const HEAD_LINES_MAX: usize = 20;
/// Text before the first boundary; none is usual.
const PREAMBLE_BYTES_MAX: u64 = 8 << 10;
const READ_BYTES: usize = 32 << 10;

/// What a part's head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub name: String,
    /// Present for files, and only for them.
    pub filename: Option<String>,
    pub content_type: Option<String>,
}

#[derive(Debug, thiserror::Error)]
pub enum MultipartError {
    #[error("the form has no boundary")]
    NoBoundary,
    #[error("the form ends early")]
    Truncated,
    #[error("more than {PARTS_MAX} parts")]
    TooManyParts,
    #[error("the head of a part is too long")]
    HeadTooLong,
    #[error("a part is longer than {limit} bytes")]
    PartTooLong { limit: u64 },
    #[error("read the form")]
    Read(#[source] io::Error),
    #[error("keep a part of the form")]
    Write(#[source] io::Error),
}

/// Returns the boundary that a form's content type names.
///
/// # Errors
/// `NoBoundary` if it is another type, or names none that is sane.
pub fn boundary(content_type: &str) -> Result<String, MultipartError> {
    let (kind, parameters) = content_type.split_once(';').ok_or(MultipartError::NoBoundary)?;
    if !kind.trim().eq_ignore_ascii_case("multipart/form-data") {
        return Err(MultipartError::NoBoundary);
    }
    let boundary = parameter(parameters, "boundary").ok_or(MultipartError::NoBoundary)?;
    match boundary.len() {
        1..=BOUNDARY_BYTES_MAX => Ok(boundary),
        _ => Err(MultipartError::NoBoundary),
    }
}

/// A form that is being read.
pub struct Multipart<R> {
    reader: R,
    /// What was read and not yet given out.
    buffer: Vec<u8>,
    delimiter: Vec<u8>,
    parts: usize,
}

impl<R: Read> Multipart<R> {
    /// Begins to read a form.
    ///
    /// # Errors
    /// If its first boundary is not found.
    pub fn new(reader: R, boundary: &str) -> Result<Self, MultipartError> {
        let delimiter = format!("\r\n--{boundary}").into_bytes();
        // The first boundary needs no line break before it; with one it is like all others.
        let mut form = Multipart { reader, buffer: b"\r\n".to_vec(), delimiter, parts: 0 };
        let delimiter = form.delimiter.clone();
        form.until(&delimiter, PREAMBLE_BYTES_MAX, &mut io::sink())?;
        Ok(form)
    }

    /// Returns the head of the next part; its body must be read with `copy_body` before the one after.
    ///
    /// # Errors
    /// If the form is cut off or its head is out of bounds.
    pub fn next_part(&mut self) -> Result<Option<Part>, MultipartError> {
        let mut rest = Vec::new();
        while self.buffer.len() < 2 && self.fill()? {}
        if self.buffer.starts_with(b"--") {
            return Ok(None);
        }
        self.until(b"\r\n", HEAD_LINE_BYTES_MAX, &mut rest).map_err(too_long_head)?;
        self.parts += 1;
        if self.parts > PARTS_MAX {
            return Err(MultipartError::TooManyParts);
        }
        let mut part = Part::default();
        for _ in 0..HEAD_LINES_MAX {
            let mut line = Vec::new();
            self.until(b"\r\n", HEAD_LINE_BYTES_MAX, &mut line).map_err(too_long_head)?;
            if line.is_empty() {
                return Ok(Some(part));
            }
            part.read_line(&String::from_utf8_lossy(&line));
        }
        Err(MultipartError::HeadTooLong)
    }

    /// Writes the part's body out, at most `bytes_max` of it. Returns its length.
    ///
    /// # Errors
    /// If it is longer, cut off, or cannot be written.
    pub fn copy_body(&mut self, bytes_max: u64, out: &mut dyn Write) -> Result<u64, MultipartError> {
        let delimiter = std::mem::take(&mut self.delimiter);
        let copied = self.until(&delimiter, bytes_max, out);
        self.delimiter = delimiter;
        copied
    }

    /// Writes what stands before `needle`, and consumes that too.
    fn until(&mut self, needle: &[u8], bytes_max: u64, out: &mut dyn Write) -> Result<u64, MultipartError> {
        let mut length = 0;
        loop {
            let found = find(&self.buffer, needle);
            // A needle may begin at the end of what was read so far.
            let sure = found.unwrap_or(self.buffer.len().saturating_sub(needle.len() - 1));
            length += sure as u64;
            if length > bytes_max {
                return Err(MultipartError::PartTooLong { limit: bytes_max });
            }
            out.write_all(&self.buffer[..sure]).map_err(MultipartError::Write)?;
            self.buffer.drain(..sure + found.map_or(0, |_| needle.len()));
            if found.is_some() {
                return Ok(length);
            }
            if !self.fill()? {
                return Err(MultipartError::Truncated);
            }
        }
    }

    /// Reads more; tells whether there was more.
    fn fill(&mut self) -> Result<bool, MultipartError> {
        let before = self.buffer.len();
        self.buffer.resize(before + READ_BYTES, 0);
        let read = loop {
            match self.reader.read(&mut self.buffer[before..]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other,
            }
        };
        self.buffer.truncate(before + *read.as_ref().unwrap_or(&0));
        read.map(|bytes| bytes > 0).map_err(MultipartError::Read)
    }
}

impl Part {
    fn read_line(&mut self, line: &str) {
        let Some((name, value)) = line.split_once(':') else {
            return;
        };
        if name.trim().eq_ignore_ascii_case("content-type") {
            self.content_type = Some(value.trim().to_owned());
        } else if name.trim().eq_ignore_ascii_case("content-disposition")
            && let Some((_, parameters)) = value.split_once(';')
        {
            self.name = parameter(parameters, "name").unwrap_or_default();
            self.filename = parameter(parameters, "filename");
        }
    }
}

fn too_long_head(error: MultipartError) -> MultipartError {
    match error {
        MultipartError::PartTooLong { .. } => MultipartError::HeadTooLong,
        error => error,
    }
}

/// Returns a parameter of a header: `name=value` or `name="quoted \" value"`, separated by semicolons.
fn parameter(text: &str, wanted: &str) -> Option<String> {
    let mut rest = text;
    loop {
        let (name, value) = rest.split_once('=')?;
        let (value, after) = parameter_value(value.trim_start());
        if name.trim_matches([' ', '\t', ';']).eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = after;
    }
}

fn parameter_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(';').unwrap_or(text.len());
        return (text[..end].trim().to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            // Only a quote is ever escaped: browsers and curl send `C:\dumps\a.dmp` as it is.
            '\\' if quoted[at + 1..].starts_with('"') => {
                value.push('"');
                characters.next();
            }
            other => value.push(other),
        }
    }
    (value, "")
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = needle.first()?;
    let mut from = 0;
    while let Some(at) = haystack[from..].iter().position(|byte| byte == first) {
        if haystack[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte at a time, so that every boundary falls between two reads.
    struct Drip<'a>(&'a [u8]);

    impl Read for Drip<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    fn read(form: &[u8]) -> Result<Vec<(Part, Vec<u8>)>, MultipartError> {
        let whole = read_from(form, "x");
        let dripped = read_from(Drip(form), "x");
        assert_eq!(format!("{whole:?}"), format!("{dripped:?}"));
        whole
    }

    fn read_from(form: impl Read, boundary: &str) -> Result<Vec<(Part, Vec<u8>)>, MultipartError> {
        let mut form = Multipart::new(form, boundary)?;
        let mut parts = Vec::new();
        while let Some(part) = form.next_part()? {
            let mut body = Vec::new();
            form.copy_body(100, &mut body)?;
            parts.push((part, body));
        }
        Ok(parts)
    }

    #[test]
    fn parts_come_out_as_they_went_in() {
        let form = b"ignored\r\n--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1\r\n-\r\n--x\r\n\
            content-disposition: form-data; filename=\"C:\\d\\\"q.dmp\"; name=b\r\nContent-Type: text/plain\r\n\r\n\r\n--x--\r\n";
        let parts = read(form).unwrap_or_default();
        assert_eq!(parts.len(), 2);
        assert_eq!((parts[0].0.name.as_str(), parts[0].1.as_slice()), ("a", b"1\r\n-".as_slice()));
        assert_eq!(parts[1].0.filename.as_deref(), Some("C:\\d\"q.dmp"));
        assert_eq!((parts[1].0.name.as_str(), parts[1].1.len()), ("b", 0));
        assert_eq!(parts[1].0.content_type.as_deref(), Some("text/plain"));
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_refused() {
        let form = b"--x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nbody\r\n--x--";
        for length in 0..form.len() - 2 {
            assert!(matches!(read(&form[..length]), Err(MultipartError::Truncated)), "{length}");
        }
        let long = format!("--x\r\nA: b\r\n\r\n{}\r\n--x--", "y".repeat(101));
        assert!(matches!(read(long.as_bytes()), Err(MultipartError::PartTooLong { limit: 100 })));
        let heads = format!("--x\r\n{}\r\n\r\n\r\n--x--", "A: b\r\n".repeat(30));
        assert!(matches!(read(heads.as_bytes()), Err(MultipartError::HeadTooLong)));
        let many = format!("{}--x--", "--x\r\nA: b\r\n\r\n\r\n".repeat(PARTS_MAX + 1));
        assert!(matches!(read(many.as_bytes()), Err(MultipartError::TooManyParts)));
    }

    #[test]
    fn the_boundary_is_that_of_the_type() {
        assert_eq!(boundary("multipart/form-data; boundary=---a-b").ok().as_deref(), Some("---a-b"));
        assert_eq!(boundary("Multipart/Form-Data; charset=x; boundary=\"a b\"").ok().as_deref(), Some("a b"));
        for other in ["application/json", "multipart/form-data", "multipart/form-data; boundary=", "a; boundary=b"] {
            assert!(boundary(other).is_err(), "{other}");
        }
    }
}
