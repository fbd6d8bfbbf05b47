//! Crash reports of native programs: the very bytes that sentry-native's crashpad sends (HTTP/1.0, chunks, gzip), and the
//! ways of other reporters. Each becomes an event with its minidump, stored and named.

use super::sdk::{Expected, attachment, check_event, log_in};
use super::{Case, Place, Verdict};
use crate::root::root;
use anyhow::{Context, ensure};
use bench::http::{Response, read_response, request};
use bench::server::Dsn;
use std::io::{BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

/// The form as crashpad sent it, compressed by it; recorded from sentry-native 0.4.9.
const FORM: &str = "e2e/clients/native_crash.form.gz";
const FORM_TYPE: &str = "multipart/form-data; boundary=---MultipartBoundary-qESQ3HIByUuPghOpo7gNQl8mZSduKJuK---";
const DUMP_NAME: &str = "e48d0f0c-7ef4-4014-943f-eb816616e08f.dmp";
const ANSWER_WITHIN: Duration = Duration::from_secs(20);
/// crashpad's chunks.
const CHUNK_BYTES: usize = 4_096;
/// Larger than any body that is held in memory.
const LARGE_BYTES: usize = 9 << 20;
const TITLE: &str = "Minidump: crash report, not symbolicated";

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let mut place = Place::start(case)?;
    let cookie = log_in(&place)?;
    place.token()?;
    let dsn = place.dsn("default/default")?;

    let form = std::fs::read(root().join(FORM)).with_context(|| format!("read {FORM}"))?;
    let id = accepted(&crashpad(&place, &dsn, &form)?)?;
    let shown = &["test-example-release", "development", "native", "sentry.native", DUMP_NAME];
    check_event(&mut place, &cookie, &id, &Expected { title: TITLE, shown })?;
    let (name, bytes) = attachment(&mut place, &id)?;
    ensure!(name == DUMP_NAME && bytes.starts_with(b"MDMP"), "attachment {name}: {:?}", &bytes[..bytes.len().min(8)]);

    let small = dump(1 << 10);
    let plain = multipart(&[("ptype", "", b"renderer"), ("upload_file_minidump", "c.dmp", &small)]);
    let id = accepted(&post(&place, &dsn, "multipart/form-data; boundary=xx", &plain)?)?;
    let renderer = Expected { title: TITLE, shown: &["ptype", "renderer"] };
    check_event(&mut place, &cookie, &id, &renderer)?;
    for (what, dump) in [("small", small), ("large", dump(LARGE_BYTES))] {
        let id = accepted(&post(&place, &dsn, "application/octet-stream", &dump)?)?;
        check_event(&mut place, &cookie, &id, &Expected { title: TITLE, shown: &["minidump.dmp"] })?;
        ensure!(attachment(&mut place, &id)?.1 == dump, "the {what} dump is not what was sent");
    }
    refused(&place, &dsn)?;
    place.check()?;
    place.end()?;
    Ok(Verdict::Passed("HTTP/1.0 in chunks with gzip, a plain form, a dump alone, 9 MB; nonsense refused".to_owned()))
}

fn refused(place: &Place, dsn: &Dsn) -> anyhow::Result<()> {
    let without = multipart(&[("prod", "", b"Shop")]);
    let cases: [(&str, &[u8], u16, &str); 4] = [
        ("multipart/form-data; boundary=xx", &without, 400, "missing minidump"),
        ("multipart/form-data; boundary=xx", &without[..40], 400, "invalid multipart data"),
        ("application/octet-stream", b"MZ is no dump", 400, "invalid minidump"),
        ("application/octet-stream", b"", 400, "missing minidump"),
    ];
    for (content_type, body, status, detail) in cases {
        let response = post(place, dsn, content_type, body)?;
        let text = response.text();
        ensure!(response.status == status && text.contains(detail), "{detail}: {} {text}", response.status);
    }
    let stranger = Dsn { key: "0".repeat(32), ..dsn.clone() };
    ensure!(post(place, &stranger, "application/octet-stream", b"MDMP")?.status == 403, "a stranger's dump");
    Ok(())
}

/// Writes what crashpad's socket transport writes.
fn crashpad(place: &Place, dsn: &Dsn, form: &[u8]) -> anyhow::Result<Response> {
    let mut stream = TcpStream::connect(place.address).context("connect")?;
    stream.set_read_timeout(Some(ANSWER_WITHIN))?;
    let (project, key) = (&dsn.project, &dsn.key);
    let query = format!("sentry_client=sentry.native/0.4.9&sentry_key={key}&guid=3135f173-36d7-466e-befd-5ed964d553ff");
    let head = format!(
        "POST /api/{project}/minidump/?{query} HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Encoding: gzip\r\n\
         Content-Type: {FORM_TYPE}\r\nTransfer-Encoding: chunked\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).context("send the head")?;
    for chunk in form.chunks(CHUNK_BYTES) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes()).context("send a chunk's length")?;
        stream.write_all(&[chunk, b"\r\n"].concat()).context("send a chunk")?;
    }
    stream.write_all(b"0\r\n\r\n").context("send the end")?;
    read_response(&mut BufReader::new(stream)).context("read the answer to crashpad")
}

fn post(place: &Place, dsn: &Dsn, content_type: &str, body: &[u8]) -> anyhow::Result<Response> {
    let target = format!("/api/{}/minidump?sentry_key={}", dsn.project, dsn.key);
    place.http(&request("POST", &target, &[("Content-Type", content_type), ("Connection", "close")], body))
}

/// Returns the event's id as the API knows it.
fn accepted(response: &Response) -> anyhow::Result<String> {
    let text = response.text();
    ensure!(response.status == 200, "{} {text}", response.status);
    ensure!(response.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "the type of {text}");
    ensure!(text.len() == 36 && text.matches('-').count() == 4, "the answer is no id with hyphens: {text}");
    Ok(text.replace('-', ""))
}

/// Bytes that begin like a dump.
fn dump(length: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..length).map(|index| (index % 251) as u8).collect();
    bytes[..4].copy_from_slice(b"MDMP");
    bytes
}

fn multipart(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, filename, body) in parts {
        let filename = if filename.is_empty() { String::new() } else { format!("; filename=\"{filename}\"") };
        let head = format!("--xx\r\nContent-Disposition: form-data; name=\"{name}\"{filename}\r\n\r\n");
        form.extend([head.as_bytes(), body, b"\r\n"].concat());
    }
    form.extend_from_slice(b"--xx--\r\n");
    form
}
