//! A worker process of `vigie cleanup`: it configures itself, opens its own stores, and carries out the units that come
//! over its standard input until it is told to stop, or its command is gone.

use super::SHARE;
use super::messages::{Heard, Order};
use crate::config::Config;
use crate::roles::{end_with, leave_signals_to_the_parent, open_stores};
use anyhow::Context;
use pipeline::pace;
use pipeline::retention::Bench;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use stdx::SystemClock;
use store::StoreError;

/// That it lives is said so often while it works.
const ALIVE_EVERY: Duration = Duration::from_millis(500);

/// Runs until the command says stop, or closes the socket.
///
/// # Errors
/// If the worker cannot configure itself, or the socket breaks.
pub fn run(config: &Config, parent: u32) -> anyhow::Result<ExitCode> {
    end_with(parent)?;
    let _signals = leave_signals_to_the_parent().context("leave signals to the command")?;
    pace::lower_thread_priority();
    let socket = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned().context("take the command's socket")?);
    let stores = open_stores(config, &SystemClock)?;
    let mut told = socket.try_clone().context("share the socket")?;
    if say(&mut told, &Heard::Ready).is_err() {
        // The command was refused meanwhile and is gone.
        return Ok(ExitCode::SUCCESS);
    }
    for line in BufReader::new(socket).lines() {
        let order: Order = serde_json::from_str(&line.context("hear the command")?).context("read an order")?;
        let Order::Run { unit, sweep, for_ms } = order else { break };
        let bench = Bench { stores: &stores, clock: &SystemClock, sweep, share: SHARE };
        say(&mut told, &Heard::Begun)?;
        let (mut said_at, mut unsaid) = (Instant::now(), 0);
        let mut returned = |bytes| {
            unsaid += bytes;
            if said_at.elapsed() >= ALIVE_EVERY {
                said_at = Instant::now();
                // A command that is gone is noticed at the next unit.
                let _ = say(&mut told, &Heard::Alive { returned_bytes: std::mem::take(&mut unsaid) });
            }
        };
        let ran = bench.run(&unit, Instant::now() + Duration::from_millis(for_ms), &mut returned);
        let heard = match ran {
            Ok(is_done) => Heard::Ran { is_done, returned_bytes: unsaid },
            Err(StoreError::SweepEnded) => Heard::SweepEnded,
            Err(error) => Heard::Failed { error: stdx::causes::on_one_line(&error), returned_bytes: unsaid },
        };
        say(&mut told, &heard)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn say(socket: &mut UnixStream, heard: &Heard) -> anyhow::Result<()> {
    let line = serde_json::to_string(heard).context("write an answer")?;
    socket.write_all(format!("{line}\n").as_bytes()).context("answer the command")
}
