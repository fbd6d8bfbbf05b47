//! Runs other programs and says what it runs.

use crate::root::root;
use anyhow::{Context, bail};
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

/// Says what runs.
pub fn say(text: &str) {
    println!("==> {text}");
}

/// Runs a program in the checkout and fails if it does.
///
/// # Errors
/// If it cannot be started or ends with another exit code than 0.
pub fn run(program: &str, arguments: &[&str]) -> anyhow::Result<()> {
    let line = format!("{program} {}", arguments.join(" "));
    say(&line);
    let status = Command::new(program).args(arguments).current_dir(root()).status();
    let status = status.with_context(|| format!("start {line}"))?;
    if !status.success() {
        bail!("{line}: {status}");
    }
    Ok(())
}

/// Whether the program answers `arguments` with success; its output is thrown away.
pub fn works(program: &str, arguments: &[&str]) -> bool {
    let status = Command::new(program).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Runs a program, passes every line on and shows it to `look`; returns whether it succeeded.
///
/// # Errors
/// If it cannot be started.
pub fn watch(program: &str, arguments: &[&str], mut look: impl FnMut(&str)) -> anyhow::Result<bool> {
    let line = format!("{program} {}", arguments.join(" "));
    say(&line);
    // One pipe for both streams keeps their order and needs no thread.
    let (reader, writer) = std::io::pipe().context("make a pipe")?;
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root()).stdin(Stdio::null());
    command.stdout(writer.try_clone().context("share the pipe")?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("start {line}"))?;
    // The command still holds the writing ends; without this the reader would never see the end.
    drop(command);
    for text in BufReader::new(reader).split(b'\n') {
        let text = text.with_context(|| format!("read the output of {line}"))?;
        let text = String::from_utf8_lossy(&text);
        println!("{text}");
        look(&text);
    }
    Ok(child.wait().with_context(|| format!("wait for {line}"))?.success())
}
