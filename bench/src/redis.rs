//! A private Redis for a test: on a free port and in a folder of its own, with what a user's server may ask for
//! (password, ACL user, TLS, appendonly). It can be killed and started again on the same port and data.

mod certificates;

use anyhow::{Context, bail, ensure};
pub use certificates::Certificates;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const READY_WITHIN: Duration = Duration::from_secs(15);
const POLL_EVERY: Duration = Duration::from_millis(10);

/// What a server asks of its clients, and what it keeps.
#[derive(Clone, Default)]
pub struct Options {
    /// Every write is in a file before it is answered, which is flushed each second, as Redis does unless told otherwise:
    /// it survives `kill -9`; a power cut may take a second.
    pub appendonly: bool,
    /// Of the default user.
    pub password: Option<&'static str>,
    /// Name and password of a user who may do all but administer.
    pub user: Option<(&'static str, &'static str)>,
    pub tls: Option<Certificates>,
    pub replica_of: Option<u16>,
}

/// A running server; it is killed when this is dropped.
pub struct Redis {
    pub port: u16,
    folder: PathBuf,
    options: Options,
    child: Option<Child>,
}

/// Returns a port that nobody listens on now.
///
/// # Errors
/// If there is none.
pub fn free_port() -> anyhow::Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).context("find a port")?.port())
}

impl Redis {
    pub fn pid(&self) -> u32 {
        self.child.as_ref().map_or(0, Child::id)
    }

    /// Starts a server whose files stand in a new folder `folder/redis-PORT`.
    ///
    /// # Errors
    /// If Redis is not on the path or does not start.
    pub fn start(folder: &Path, options: Options) -> anyhow::Result<Redis> {
        let port = free_port()?;
        let folder = folder.join(format!("redis-{port}"));
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let mut redis = Redis { port, folder, options, child: None };
        redis.start_again()?;
        Ok(redis)
    }

    /// Starts it on the same port and data, after it was killed; returns when it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        let log = self.folder.join("redis.log");
        let log_name = log.display().to_string();
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--save", "", "--logfile", &log_name]).arg("--dir").arg(&self.folder);
        let port = self.port.to_string();
        match &self.options.tls {
            Some(certificates) => {
                command.args(["--port", "0", "--tls-port", &port, "--tls-auth-clients", "no"]);
                command.arg("--tls-cert-file").arg(&certificates.certificate);
                command.arg("--tls-key-file").arg(&certificates.key);
                command.arg("--tls-ca-cert-file").arg(&certificates.authority);
            }
            None => {
                command.args(["--port", &port]);
            }
        }
        if self.options.appendonly {
            command.args(["--appendonly", "yes"]);
        }
        if let Some(password) = self.options.password {
            command.args(["--requirepass", password]);
        }
        if let Some((name, password)) = self.options.user {
            command.args(["--user", name, "on", &format!(">{password}"), "~*", "&*", "+@all", "-@admin"]);
        }
        if let Some(port) = self.options.replica_of {
            command.args(["--replicaof", "127.0.0.1", &port.to_string(), "--repl-diskless-sync-delay", "0"]);
        }
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().context("start redis-server")?);
        self.wait_until_ready(&log)
    }

    fn wait_until_ready(&mut self, log: &Path) -> anyhow::Result<()> {
        let started = Instant::now();
        while started.elapsed() < READY_WITHIN {
            let child = self.child.as_mut().expect("it was started");
            if let Some(status) = child.try_wait().context("look at redis-server")? {
                bail!("redis-server ended ({status}): {}", std::fs::read_to_string(log).unwrap_or_default());
            }
            if self.ask(0, &["PING"]).is_ok_and(|answer| answer == "PONG") {
                return Ok(());
            }
            std::thread::sleep(POLL_EVERY);
        }
        bail!("redis-server did not answer within {READY_WITHIN:?}")
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut child) = self.child.take() {
            child.kill().context("kill redis-server")?;
            child.wait().context("wait for the killed redis-server")?;
        }
        Ok(())
    }

    /// Sends a command as the default user; returns the answer as redis-cli writes it.
    ///
    /// # Errors
    /// If there is no answer, or it is an error.
    pub fn ask(&self, db: u32, command: &[&str]) -> anyhow::Result<String> {
        let mut cli = Command::new("redis-cli");
        cli.args(["-e", "-p", &self.port.to_string(), "-n", &db.to_string()]);
        if let Some(password) = self.options.password {
            cli.args(["--no-auth-warning", "-a", password]);
        }
        if let Some(certificates) = &self.options.tls {
            cli.args(["-h", "localhost", "--tls", "--cacert"]).arg(&certificates.authority);
        }
        let output = cli.args(command).output().context("run redis-cli")?;
        let said = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        ensure!(output.status.success(), "redis-cli {command:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        Ok(said)
    }

    /// Returns the URL of a database, with the credentials of the user if there is one.
    pub fn url(&self, db: u32) -> String {
        self.url_at(self.port, db)
    }

    /// The same through another port: a proxy's.
    pub fn url_at(&self, port: u16, db: u32) -> String {
        let credentials = match (self.options.user, self.options.password) {
            (Some((name, password)), _) => format!("{name}:{password}@"),
            (None, Some(password)) => format!(":{password}@"),
            (None, None) => String::new(),
        };
        match &self.options.tls {
            // The names of the options are kombu's; the certificate is for localhost.
            Some(certificates) => format!(
                "rediss://{credentials}localhost:{port}/{db}?ssl_cert_reqs=required&ssl_ca_certs={}",
                certificates.authority.display()
            ),
            None => format!("redis://{credentials}127.0.0.1:{port}/{db}"),
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already; there is nobody left to tell.
        let _ = self.kill();
    }
}
