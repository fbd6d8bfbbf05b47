//! HTTP/1.1 over a blocking socket, kept alive: as little work a request as possible, and it says whether a request
//! that failed can have reached the server.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// A whole answer.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(candidate, _)| candidate == name).map(|(_, value)| value.as_str())
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Why there is no answer.
#[derive(Debug)]
pub enum Failure {
    /// The server cannot have taken the request.
    NotSent(io::Error),
    /// It was sent, perhaps in part, and no whole answer came: the server may have taken it.
    Unanswered(io::Error),
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::NotSent(error) => write!(f, "not sent: {error}"),
            Failure::Unanswered(error) => write!(f, "unanswered: {error}"),
        }
    }
}

impl std::error::Error for Failure {}

/// One connection, opened when it is needed and again after the server closed it.
pub struct Connection {
    address: SocketAddr,
    timeout: Duration,
    stream: Option<BufReader<TcpStream>>,
}

impl Connection {
    /// # Panics
    /// If the address is not on this machine: the generator sends nowhere else.
    pub fn new(address: SocketAddr, timeout: Duration) -> Self {
        assert!(address.ip().is_loopback(), "{address} is not on this machine");
        Connection { address, timeout, stream: None }
    }

    /// Sends whole request bytes and reads the answer.
    ///
    /// # Errors
    /// See `Failure`; the connection is closed then.
    pub fn send(&mut self, request: &[u8]) -> Result<Response, Failure> {
        if self.stream.is_none() {
            self.stream = Some(self.open().map_err(Failure::NotSent)?);
        }
        let stream = self.stream.as_mut().expect("it was opened above");
        let result = exchange(stream, request);
        let must_close = match &result {
            Ok(response) => response.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close")),
            Err(_) => true,
        };
        if must_close {
            self.stream = None;
        }
        result.map_err(Failure::Unanswered)
    }

    fn open(&self) -> io::Result<BufReader<TcpStream>> {
        let stream = TcpStream::connect_timeout(&self.address, self.timeout)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(self.timeout))?;
        stream.set_write_timeout(Some(self.timeout))?;
        Ok(BufReader::new(stream))
    }
}

fn exchange(stream: &mut BufReader<TcpStream>, request: &[u8]) -> io::Result<Response> {
    // A server that refuses early may close before it read everything; its answer can still be there to read.
    let sent = stream.get_mut().write_all(request);
    match read_response(stream) {
        Ok(response) => Ok(response),
        Err(error) => Err(sent.err().unwrap_or(error)),
    }
}

/// Reads one answer; 1xx answers are skipped.
///
/// # Errors
/// If the connection ends or fails first, or what comes is no HTTP.
pub fn read_response(stream: &mut impl BufRead) -> io::Result<Response> {
    loop {
        let mut response = read_head(stream)?;
        if response.status / 100 == 1 {
            continue;
        }
        response.body = read_body(stream, &response)?;
        return Ok(response);
    }
}

fn read_head(stream: &mut impl BufRead) -> io::Result<Response> {
    let line = read_line(stream)?;
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| malformed(&line))?;
    let mut response = Response { status, ..Response::default() };
    loop {
        let line = read_line(stream)?;
        if line.is_empty() {
            return Ok(response);
        }
        let (name, value) = line.split_once(':').ok_or_else(|| malformed(&line))?;
        response.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
}

fn read_body(stream: &mut impl BufRead, response: &Response) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    if matches!(response.status, 204 | 304) {
        return Ok(body);
    }
    if response.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked")) {
        loop {
            let line = read_line(stream)?;
            let length = usize::from_str_radix(line.trim(), 16).map_err(|_| malformed(&line))?;
            let start = body.len();
            body.resize(start + length, 0);
            stream.read_exact(&mut body[start..])?;
            read_line(stream)?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
    match response.header("content-length").and_then(|length| length.parse().ok()) {
        Some(length) => {
            body.resize(length, 0);
            stream.read_exact(&mut body)?;
        }
        None => {
            stream.read_to_end(&mut body)?;
        }
    }
    Ok(body)
}

fn read_line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = Vec::new();
    stream.read_until(b'\n', &mut line)?;
    if line.pop() != Some(b'\n') {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the server closed the connection"));
    }
    if line.last() == Some(&b'\r') {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| malformed("a line that is not text"))
}

fn malformed(line: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("no HTTP answer: {line:.80}"))
}

/// Returns the bytes of a request; `Host` and `Content-Length` are added.
pub fn request(method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    request_to("127.0.0.1", method, target, headers, body)
}

/// Returns the bytes of a request that names its host.
pub fn request_to(host: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut bytes = format!("{method} {target} HTTP/1.1\r\nHost: {host}\r\n").into_bytes();
    for (name, value) in headers {
        bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
    }
    if method != "GET" || !body.is_empty() {
        bytes.extend_from_slice(format!("Content-Length: {}\r\n", body.len()).as_bytes());
    }
    bytes.extend_from_slice(b"\r\n");
    bytes.extend_from_slice(body);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, status: u16, body: &str) {
        let response = read_response(&mut text.as_bytes()).expect("a whole answer");
        assert_eq!((response.status, response.text().as_str()), (status, body));
    }

    #[test]
    fn answers_are_read_by_length_by_chunk_and_to_the_end() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}rest", 200, "{}");
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n", 200, "abcd");
        check("HTTP/1.1 400 Bad\r\n\r\nall", 400, "all");
        check("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", 204, "");
    }

    #[test]
    fn an_answer_that_breaks_off_is_an_error() {
        for text in ["", "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nshort", "nonsense\r\n\r\n"] {
            assert!(read_response(&mut text.as_bytes()).is_err(), "{text}");
        }
    }
}
