//! How commands speak to the running Vigie of a data directory: one JSON line each way over a Unix socket in it.
//!
//! The queue's log has one owner, so a command cannot open it beside a running process; it asks instead. The socket
//! stands in the data directory (0700), so who may ask is who may read the stores anyway.

use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use stdx::Shutdown;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};

const SOCKET_NAME: &str = "vigie.sock";
/// A question is one short line.
const QUESTION_BYTES_MAX: u64 = 64 << 10;
/// A command gives up after this long: the process is there but does not answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// What a command may ask.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Question {
    Status,
}

/// Answers questions in the running process.
pub type Answerer = Arc<dyn Fn(Question) -> queue::BoxFuture<'static, serde_json::Value> + Send + Sync>;

pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join(SOCKET_NAME)
}

/// Answers until the shutdown.
///
/// # Errors
/// If the socket cannot be bound.
pub async fn serve(
    data_dir: PathBuf,
    answerer: Answerer,
    shutdown: Shutdown,
) -> Result<(), stdx::component::ComponentError> {
    let path = socket_path(&data_dir);
    // A socket left by a killed process; the queue's lock already proved that no other process is alive here.
    let _ = std::fs::remove_file(&path);
    let listener = tokio::net::UnixListener::bind(&path)?;
    loop {
        let accepted = tokio::select! {
            () = shutdown.triggered() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                tokio::spawn(answer(stream, answerer.clone()));
            }
            Err(error) => tracing::warn!(error = %error, "control connection not accepted"),
        }
    }
    // Leaving it behind is harmless: the next process removes it.
    let _ = std::fs::remove_file(&path);
    Ok(())
}

async fn answer(stream: tokio::net::UnixStream, answerer: Answerer) {
    let (reader, mut writer) = stream.into_split();
    let mut line = String::new();
    let mut reader = tokio::io::BufReader::new(reader.take(QUESTION_BYTES_MAX));
    let read = tokio::time::timeout(ANSWER_DEADLINE, reader.read_line(&mut line)).await;
    if !matches!(read, Ok(Ok(length)) if length > 0) {
        return;
    }
    let answer = match serde_json::from_str::<Question>(&line) {
        Ok(question) => answerer(question).await,
        Err(error) => serde_json::json!({ "error": format!("unknown question: {error}") }),
    };
    let mut text = answer.to_string();
    text.push('\n');
    // The command went away: nobody is left to tell.
    let _ = writer.write_all(text.as_bytes()).await;
}

/// Asks the running process. Returns `None` if none runs on this data directory.
///
/// # Errors
/// If a process is there and does not answer in time, or answers with an error.
pub fn ask(data_dir: &Path, question: &Question) -> anyhow::Result<Option<serde_json::Value>> {
    let path = socket_path(data_dir);
    let mut stream = match UnixStream::connect(&path) {
        Ok(stream) => stream,
        Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused) => {
            return Ok(None);
        }
        Err(error) => return Err(error).with_context(|| format!("connect to {}", path.display())),
    };
    stream.set_read_timeout(Some(ANSWER_DEADLINE)).context("set the deadline of the answer")?;
    let mut line = serde_json::to_string(question).context("write the question")?;
    line.push('\n');
    stream.write_all(line.as_bytes()).context("ask the running process")?;
    let mut text = String::new();
    BufReader::new(stream).read_line(&mut text).context("wait for the running process to answer")?;
    let answer: serde_json::Value = serde_json::from_str(&text).context("read the running process's answer")?;
    if let Some(error) = answer.get("error").and_then(|error| error.as_str()) {
        anyhow::bail!("the running process refused: {error}");
    }
    Ok(Some(answer))
}
