//! Clients that misuse the connection itself: slow, half closed, lying about lengths, broken chunks, huge heads.

use super::{Failures, new_id, post, small_event};
use crate::e2e::Place;
use anyhow::{Context, bail, ensure};
use bench::event::envelope_request;
use bench::http::{Response, read_response};
use bench::server::Dsn;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// A stalled client is cut off within this time (the deadlines are 10 s).
const CUT_OFF_WITHIN: Duration = Duration::from_secs(20);
const SLOW_CLIENTS: usize = 200;
/// An honest client is answered within this time, however many slow ones there are: well before these are cut off.
const HONEST_WITHIN: Duration = Duration::from_secs(5);

pub fn check(place: &Place, dsn: &Dsn, failures: &mut Failures) {
    let request = envelope_request(&dsn.project, &dsn.key, &[], &small_event(&new_id()));
    let raw = |bytes: &[u8]| exchange(place.address, bytes, false);
    failures.expect("client that closes its half", &[200], exchange(place.address, &request, true));
    let text = String::from_utf8_lossy(&request).into_owned();
    let chunked = |chunks: &str| {
        let head = text.split("\r\n\r\n").next().unwrap_or_default();
        let lines: Vec<&str> = head.lines().filter(|line| !line.starts_with("Content-Length")).collect();
        format!("{}\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}", lines.join("\r\n")).into_bytes()
    };
    let body = text.split("\r\n\r\n").nth(1).unwrap_or_default();
    let good = chunked(&format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()));
    failures.expect("chunks", &[200], raw(&good));
    failures.note("chunk size that is no number", || refused(place.address, &chunked("zz\r\nabc\r\n0\r\n\r\n")));
    failures
        .note("chunk size beyond all numbers", || refused(place.address, &chunked("ffffffffffffffffff\r\nabc\r\n")));
    failures.note("no HTTP at all", || refused(place.address, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"));
    let long =
        format!("POST /api/{}/envelope/ HTTP/1.1\r\nHost: a\r\nX-Long: {}\r\n\r\n", dsn.project, "x".repeat(200_000));
    failures.note("head of 200 KB", || refused(place.address, long.as_bytes()));
    let many: String = (0..2_000).map(|n| format!("X-H{n}: 1\r\n")).collect();
    let many = format!("POST /api/{}/envelope/ HTTP/1.1\r\nHost: a\r\n{many}\r\n", dsn.project);
    failures.note("2,000 headers", || refused(place.address, many.as_bytes()));
    let two = text.replacen("Content-Length", "Content-Length: 5\r\nContent-Length", 1);
    failures.note("two lengths that differ", || refused(place.address, two.as_bytes()));
    check_stalled(place, dsn, &text, &chunked("5\r\nab"), failures);
}

/// Everything that waits for a deadline, at once; honest requests go on meanwhile.
fn check_stalled(place: &Place, dsn: &Dsn, text: &str, broken_chunk: &[u8], failures: &mut Failures) {
    let address = place.address;
    let longer = text.replacen("Content-Length: ", "Content-Length: 1", 1).into_bytes();
    let head = text.split("\r\n\r\n").next().unwrap_or_default().as_bytes().to_vec();
    let no_body = [head.as_slice(), b"\r\n\r\n"].concat();
    let stalled: [(&str, &[u8]); 4] = [
        ("body shorter than its length", &longer),
        ("chunk that never comes", broken_chunk),
        ("head that never ends", &head),
        ("body that never begins", &no_body),
    ];
    std::thread::scope(|scope| {
        let waiting: Vec<_> =
            stalled.map(|(name, bytes)| (name, scope.spawn(move || cut_off(address, bytes)))).into_iter().collect();
        let slow: Vec<_> = (0..SLOW_CLIENTS).map(|_| scope.spawn(move || drip(address))).collect();
        failures.note("honest clients among slow ones", || honest_clients_go_on(place, dsn));
        for (name, thread) in waiting {
            failures.note(name, || thread.join().expect("waiting does not panic"));
        }
        let mut results = slow.into_iter().map(|thread| thread.join().expect("dripping does not panic"));
        failures.note("200 slow heads", || results.try_for_each(|result| result));
    });
}

fn honest_clients_go_on(place: &Place, dsn: &Dsn) -> anyhow::Result<()> {
    for _ in 0..50 {
        let started = Instant::now();
        let response = post(place, dsn, &[], &small_event(&new_id()))?;
        ensure!(response.status == 200, "{} {}", response.status, response.text());
        ensure!(started.elapsed() <= HONEST_WITHIN, "answered after {:?}", started.elapsed());
    }
    Ok(())
}

fn open(address: SocketAddr) -> anyhow::Result<TcpStream> {
    let stream = TcpStream::connect(address).context("connect")?;
    stream.set_read_timeout(Some(CUT_OFF_WITHIN))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn exchange(address: SocketAddr, bytes: &[u8], half_close: bool) -> anyhow::Result<Response> {
    let mut stream = open(address)?;
    stream.write_all(bytes).context("send")?;
    if half_close {
        stream.shutdown(Shutdown::Write).context("close one half")?;
    }
    read_response(&mut BufReader::new(stream)).context("read the answer")
}

/// The server answers with an error or closes; it does not accept.
fn refused(address: SocketAddr, bytes: &[u8]) -> anyhow::Result<()> {
    let mut stream = open(address)?;
    // The server may close while it is still being written to.
    let _ = stream.write_all(bytes);
    match read_response(&mut BufReader::new(stream)) {
        Ok(response) if response.status < 400 => bail!("accepted with {}", response.status),
        Ok(_) => Ok(()),
        Err(error) if is_timeout(&error) => bail!("neither answered nor closed"),
        Err(_) => Ok(()),
    }
}

/// After these bytes nothing more comes; the server must end the connection by itself, and not with a 200.
fn cut_off(address: SocketAddr, bytes: &[u8]) -> anyhow::Result<()> {
    let mut stream = open(address)?;
    stream.write_all(bytes).context("send")?;
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    if ended.as_ref().err().is_some_and(is_timeout) {
        bail!("still open after {CUT_OFF_WITHIN:?}");
    }
    ensure!(!answer.starts_with(b"HTTP/1.1 200"), "accepted");
    Ok(())
}

/// Sends a head byte by byte, slower than anyone honest, until it is cut off.
fn drip(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = open(address)?;
    let started = Instant::now();
    stream.write_all(b"POST /api/1/envelope/ HTTP/1.1\r\nHost: a\r\nX-Slow: ").context("send")?;
    stream.set_read_timeout(Some(Duration::from_millis(500)))?;
    let mut byte = [0];
    while started.elapsed() < CUT_OFF_WITHIN {
        match stream.read(&mut byte) {
            Ok(_) => return Ok(()),
            Err(error) if is_timeout(&error) => {}
            Err(_) => return Ok(()),
        }
        if stream.write_all(b"x").is_err() {
            return Ok(());
        }
    }
    bail!("still open after {CUT_OFF_WITHIN:?}")
}

fn is_timeout(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
