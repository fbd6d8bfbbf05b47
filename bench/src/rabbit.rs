//! A private RabbitMQ for a test: on a free port and in a folder of its own. It can be killed and started again on the same
//! port and data.

use crate::redis::free_port;
use anyhow::{Context, bail, ensure};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The server itself: what lies on the path becomes another user first.
pub const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Erlang takes its time, more of it on a busy machine.
const READY_WITHIN: Duration = Duration::from_secs(120);
const POLL_EVERY: Duration = Duration::from_millis(20);
const GREETS_WITHIN: Duration = Duration::from_secs(5);
/// What a client says first; the server answers with a method frame.
const GREETING: &[u8] = b"AMQP\x00\x00\x09\x01";

/// A running server; it is killed when this is dropped.
pub struct Rabbit {
    pub port: u16,
    /// Of Erlang's directory of nodes, which outlives a killed node.
    epmd_port: u16,
    /// Of the node among others.
    node_port: u16,
    folder: PathBuf,
    child: Option<Child>,
}

impl Rabbit {
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Starts a server whose files stand in a new folder `folder/rabbit-PORT`.
    ///
    /// # Errors
    /// If RabbitMQ is not installed or does not start.
    pub fn start(folder: &Path) -> anyhow::Result<Rabbit> {
        let (port, epmd_port, node_port) = (free_port()?, free_port()?, free_port()?);
        let folder = folder.join(format!("rabbit-{port}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let folder = folder.canonicalize().context("find the folder")?;
        let text = format!(
            "listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = false\nlog.file.level = warning\n\
             vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n"
        );
        std::fs::write(folder.join("rabbitmq.conf"), text).context("write rabbitmq.conf")?;
        std::fs::write(folder.join("plugins"), "[].\n").context("write the list of plugins")?;
        let mut rabbit = Rabbit { port, epmd_port, node_port, folder, child: None };
        rabbit.start_again()?;
        Ok(rabbit)
    }

    /// Starts it on the same port and data, after it was killed; returns when it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let mut command = self.command(Path::new(PROGRAM));
        self.child = Some(command.spawn().context("start rabbitmq-server")?);
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().transpose()) {
                bail!("rabbitmq-server ended ({}); see {}", status?, self.folder.join("log").display());
            }
            if self.greets() {
                return Ok(());
            }
            std::thread::sleep(POLL_EVERY);
        }
        bail!("rabbitmq-server did not answer within {READY_WITHIN:?}")
    }

    /// Says something to the running server, as an operator does.
    ///
    /// # Errors
    /// If it is not understood.
    pub fn control(&self, words: &[&str]) -> anyhow::Result<()> {
        let mut command = self.command(&Path::new(PROGRAM).with_file_name("rabbitmqctl"));
        let status = command.args(words).status().context("run rabbitmqctl")?;
        ensure!(status.success(), "rabbitmqctl {}: {status}", words.join(" "));
        Ok(())
    }

    fn command(&self, program: &Path) -> Command {
        let folder = &self.folder;
        let mut command = Command::new(program);
        command
            .process_group(0)
            .current_dir(folder)
            .env("HOME", folder)
            .env("RABBITMQ_NODENAME", format!("vigie-{}@localhost", self.port))
            .env("RABBITMQ_DIST_PORT", self.node_port.to_string())
            .env("ERL_EPMD_PORT", self.epmd_port.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("RABBITMQ_MNESIA_BASE", folder.join("db"))
            .env("RABBITMQ_LOG_BASE", folder.join("log"))
            .env("RABBITMQ_CONFIG_FILE", folder.join("rabbitmq"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", folder.join("plugins"))
            .env("RABBITMQ_CONF_ENV_FILE", folder.join("none"))
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", "+S 2:2 +sbwt none")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Whether it speaks: it listens a little earlier.
    fn greets(&self) -> bool {
        let greet = || -> std::io::Result<u8> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.port))?;
            stream.set_read_timeout(Some(GREETS_WITHIN))?;
            stream.write_all(GREETING)?;
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            Ok(byte[0])
        };
        greet().is_ok_and(|byte| byte == 1)
    }

    /// SIGKILL to all its processes, and waits for the end.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            let group = format!("-{}", child.id());
            let killed = Command::new("kill").args(["-KILL", "--", &group]).stderr(Stdio::null()).status();
            killed.context("kill rabbitmq-server")?;
            child.wait().context("wait for the killed rabbitmq-server")?;
        }
        Ok(())
    }

    /// Returns the URL of the virtual host `/`.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The same through another port: a proxy's.
    pub fn url_at(&self, port: u16) -> String {
        format!("amqp://guest:guest@127.0.0.1:{port}/")
    }
}

impl Drop for Rabbit {
    fn drop(&mut self) {
        // Either may have ended already; there is nobody left to tell.
        let _ = self.kill();
        let port = self.epmd_port.to_string();
        let mut epmd = Command::new("epmd");
        let _ = epmd.args(["-port", &port, "-kill"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}
