//! An unchanged Ruby application with Sentry's SDK: its chained exception and message are there within 2 s.

use super::sdk::{Expected, check_event, log_in, run_client, text_at};
use super::{Case, Place, Verdict, programs};
use crate::root::root;
use std::process::Command;

const SHOWN: &[&str] = &["ledger@4.0.2", "production", "branch", "harbour", "ruth@example.org", "opened the books"];

pub fn run(case: &Case<'_>) -> anyhow::Result<Verdict> {
    programs::ruby()?;
    let mut place = Place::start(case)?;
    let cookie = log_in(&place)?;
    place.token()?;
    let dsn = place.dsn("default/default")?.text;
    let sent = run_client(Command::new("ruby").arg(root().join("e2e/clients/ruby_app.rb")).arg(dsn))?;

    let shown = [SHOWN, &["close_books", "ZeroDivisionError", "divided by 0"]].concat();
    let chained = Expected { title: "LedgerError: books of May do not close", shown: &shown };
    check_event(&mut place, &cookie, text_at(&sent, "/exception"), &chained)?;
    let plain = Expected { title: "plain message of ruby", shown: SHOWN };
    check_event(&mut place, &cookie, text_at(&sent, "/message"), &plain)?;
    place.check()?;
    place.end()?;
    Ok(Verdict::Passed(format!("sentry-ruby {}: chained exception and message", text_at(&sent, "/version"))))
}
