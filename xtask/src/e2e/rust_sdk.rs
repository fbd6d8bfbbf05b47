//! A Rust program with the `sentry` crate: its error, message, panic and attachment are there within 2 s.

use super::sdk::{Expected, attachment, check_event, log_in, run_client, text_at};
use super::{Case, Place, Verdict, programs};
use anyhow::ensure;
use std::process::Command;

const SHOWN: &[&str] = &["stock@0.3.0", "production", "aisle", "north", "rita@example.org", "opened shelf 7"];

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    let program = programs::rust_app()?;
    let mut place = Place::start(case)?;
    let cookie = log_in(&place)?;
    place.token()?;
    let dsn = place.dsn("default/default")?.text;
    let sent = run_client(Command::new(program).arg(dsn))?;

    let kinds = [
        ("/exception", "StockError: stock of shelf 7 is unknown", "no file of shelf 7"),
        ("/message", "plain message of rust", "rust_app::main"),
        ("/panic", "panic: index out of bounds: the len is 0 but the index is 3", "rust_app::main"),
    ];
    for (name, title, own) in kinds {
        let shown = [SHOWN, &[own]].concat();
        check_event(&mut place, &cookie, text_at(&sent, name), &Expected { title, shown: &shown })?;
    }
    let (name, bytes) = attachment(&mut place, text_at(&sent, "/exception"))?;
    ensure!(name == "shelf.bin" && bytes == b"shelf\x00\xff\n", "attachment {name}: {bytes:?}");
    place.check()?;
    place.end()?;
    let version = text_at(&sent, "/version");
    Ok(Verdict::Passed(format!("crate sentry {version}: error, message, panic and attachment")))
}
