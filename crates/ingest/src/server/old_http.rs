//! Requests that say HTTP/1.0 and come in chunks, which HTTP/1.0 does not know: crashpad's own client (sentry-native's
//! crash handler on Linux and Android) sends every crash so. hyper answers 400 to them before any handler runs, so the
//! first request's head is looked at here and rewritten as HTTP/1.1 with an end of the connection.
//!
//! Everything else passes untouched. A connection with such a head closes after its answer: nobody can hide a second
//! request behind a length that two readers see differently.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Longest first line that is waited for; longer ones are hyper's to refuse.
const LINE_BYTES_MAX: usize = 16 << 10;
/// Longest head that is rewritten: the bound of heads in general.
const HEAD_BYTES_MAX: usize = super::HEADER_BYTES_MAX;
const READ_BYTES: usize = 4 << 10;

/// A connection whose first head may be rewritten.
pub struct OldHttp<S> {
    stream: S,
    /// What was read of the first head, then what of it the reader has not seen yet.
    head: Vec<u8>,
    is_looking: bool,
}

/// What is to be done with the beginning of a connection.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    ReadOn,
    Pass,
    Rewrite,
}

impl<S> OldHttp<S> {
    pub fn new(stream: S) -> Self {
        OldHttp { stream, head: Vec::new(), is_looking: true }
    }
}

impl<S: AsyncRead + Unpin> OldHttp<S> {
    /// Reads until it is known what the first head is.
    fn look(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.is_looking {
            let mut bytes = [0; READ_BYTES];
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer))?;
            let is_end = buffer.filled().is_empty();
            self.head.extend_from_slice(buffer.filled());
            match verdict(&self.head) {
                Verdict::ReadOn if !is_end => continue,
                Verdict::ReadOn | Verdict::Pass => {}
                Verdict::Rewrite => self.head = rewritten(&self.head),
            }
            self.is_looking = false;
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for OldHttp<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.look(cx))?;
        if this.head.is_empty() {
            return Pin::new(&mut this.stream).poll_read(cx, buffer);
        }
        let length = this.head.len().min(buffer.remaining());
        buffer.put_slice(&this.head[..length]);
        this.head.drain(..length);
        if this.head.is_empty() {
            this.head = Vec::new();
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for OldHttp<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write(cx, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.get_mut().stream).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

fn verdict(bytes: &[u8]) -> Verdict {
    let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
        return if bytes.len() > LINE_BYTES_MAX { Verdict::Pass } else { Verdict::ReadOn };
    };
    if !bytes[..end].trim_ascii_end().ends_with(b" HTTP/1.0") {
        return Verdict::Pass;
    }
    match head_length(bytes) {
        None if bytes.len() > HEAD_BYTES_MAX => Verdict::Pass,
        None => Verdict::ReadOn,
        Some(length) if lines(&bytes[..length]).any(|line| is_named(line, b"transfer-encoding")) => Verdict::Rewrite,
        Some(_) => Verdict::Pass,
    }
}

/// The same head as HTTP/1.1, with what follows it.
fn rewritten(bytes: &[u8]) -> Vec<u8> {
    let (head, body) = bytes.split_at(head_length(bytes).unwrap_or(bytes.len()));
    let mut lines = lines(head);
    let first = lines.next().unwrap_or_default().trim_ascii_end();
    let mut new = first.strip_suffix(b"0").unwrap_or(first).to_vec();
    new.extend_from_slice(b"1\r\nConnection: close\r\n");
    for line in lines.filter(|line| !is_named(line, b"connection")) {
        new.extend_from_slice(line);
    }
    new.extend_from_slice(body);
    new
}

/// Returns the length of the head with the empty line that ends it.
fn head_length(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4)
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split_inclusive(|byte| *byte == b'\n')
}

fn is_named(line: &[u8], name: &[u8]) -> bool {
    let end = line.iter().position(|byte| *byte == b':');
    end.is_some_and(|end| line[..end].eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt;

    const OLD: &str = "POST /api/1/minidump/ HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\
        Connection: keep-alive\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
    const NEW: &str = "POST /api/1/minidump/ HTTP/1.1\r\nConnection: close\r\nHost: a\r\n\
        Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";

    /// What a reader gets of a connection, whole and byte by byte.
    async fn check(sent: &str, expected: &str) {
        let mut whole = String::new();
        OldHttp::new(sent.as_bytes()).read_to_string(&mut whole).await.expect("text is read");
        assert_eq!(whole, expected);
        let mut dripped = String::new();
        let drip = Drip(sent.as_bytes());
        OldHttp::new(drip).read_to_string(&mut dripped).await.expect("text is read");
        assert_eq!(dripped, expected);
    }

    struct Drip<'a>(&'a [u8]);

    impl AsyncRead for Drip<'_> {
        fn poll_read(mut self: Pin<&mut Self>, _: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            if let Some((first, rest)) = self.0.split_first() {
                buffer.put_slice(&[*first]);
                self.0 = rest;
            }
            Poll::Ready(Ok(()))
        }
    }

    #[tokio::test]
    async fn an_old_request_in_chunks_becomes_a_new_one() {
        check(OLD, NEW).await;
    }

    #[tokio::test]
    async fn everything_else_passes_as_it_is() {
        for sent in [
            "",
            "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.0\r\nX-A: transfer-encoding\r\nContent-Length: 3\r\n\r\nabc",
            "POST / HTTP/1.0\r\nTransfer-Encoding: chu",
            "\x16\x03\x01 no HTTP at all",
        ] {
            check(sent, sent).await;
        }
        let long = "x".repeat(LINE_BYTES_MAX * 2);
        check(&long, &long).await;
    }
}
