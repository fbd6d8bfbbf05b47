//! RabbitMQ servers of the tests' own: in temporary folders, on ports nobody else uses, gone with the run. Starting one takes
//! seconds, so that all tests of a run share one; those that kill it have their own.

use queue::brokers::amqp::{Amqp, AmqpConfig};
use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::{CommandExt, parent_id};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use stdx::{Clock, ManualClock, SystemClock};

/// The server itself: what lies on the path becomes another user first.
const PROGRAM: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";
const START_MAX: Duration = Duration::from_secs(120);

/// Whether the program is installed. Where tests must not be skipped (`VIGIE_TESTS_NEED_SERVERS=1` when they are built)
/// its absence fails.
pub fn rabbit_is_here() -> bool {
    let is_here = Path::new(PROGRAM).exists();
    let is_needed = option_env!("VIGIE_TESTS_NEED_SERVERS") == Some("1");
    assert!(is_here || !is_needed, "rabbitmq-server is not installed");
    if !is_here {
        println!("skipped: rabbitmq-server is not installed");
    }
    is_here
}

pub struct RabbitServer {
    folder: tempfile::TempDir,
    pub port: u16,
    epmd_port: u16,
    child: Mutex<Child>,
}

impl RabbitServer {
    pub fn start() -> RabbitServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, epmd_port) = (free_port(), free_port());
        configure(folder.path(), port);
        let child = server(folder.path(), port, epmd_port).spawn().expect("rabbitmq-server starts");
        let server = RabbitServer { folder, port, epmd_port, child: Mutex::new(child) };
        wait_for_server(port);
        server
    }

    /// One that speaks TLS only, with the certificate `s.pem` of the authority `ca.pem` in a folder, and wants to see one of
    /// that authority. Returns when it listens.
    pub fn start_with_tls(certificates: &Path) -> RabbitServer {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (port, epmd_port) = (free_port(), free_port());
        configure(folder.path(), port);
        let path = |name: &str| certificates.join(name).display().to_string();
        let text = format!(
            "listeners.tcp = none\nlisteners.ssl.1 = 127.0.0.1:{port}\nlog.console = false\n\
             ssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n\
             ssl_options.verify = verify_peer\nssl_options.fail_if_no_peer_cert = true\n",
            path("ca.pem"),
            path("s.pem"),
            path("s.key")
        );
        write(&folder.path().join("rabbitmq.conf"), &text);
        let child = server(folder.path(), port, epmd_port).spawn().expect("rabbitmq-server starts");
        let server = RabbitServer { folder, port, epmd_port, child: Mutex::new(child) };
        wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        server
    }

    /// Ends it as a power cut of its machine would.
    pub fn kill(&self) {
        let mut child = self.child.lock().expect("nobody panicked");
        signal_group("-KILL", child.id());
        child.wait().expect("the server ended");
    }

    pub fn start_again(&self) {
        let child = server(self.folder.path(), self.port, self.epmd_port).spawn().expect("rabbitmq-server starts");
        *self.child.lock().expect("nobody panicked") = child;
        wait_for_server(self.port);
    }

    /// Speaks to it as an operator does.
    pub fn control(&self, words: &[&str]) {
        let program = Path::new(PROGRAM).with_file_name("rabbitmqctl");
        let mut command = environment(Command::new(program), self.folder.path(), self.port, self.epmd_port);
        assert!(command.args(words).status().expect("rabbitmqctl runs").success(), "rabbitmqctl {words:?}");
    }

    pub fn url(&self) -> String {
        format!("amqp://guest:guest@127.0.0.1:{}/", self.port)
    }

    /// Messages that were delivered and neither acknowledged nor given back, as the server says.
    pub fn unacknowledged(&self) -> u64 {
        self.count("messages_unacknowledged")
    }

    /// Messages that wait to be delivered.
    pub fn ready(&self) -> u64 {
        self.count("messages_ready")
    }

    fn count(&self, column: &str) -> u64 {
        let mut command = environment(Command::new(CONTROL), self.folder.path(), self.port, self.epmd_port);
        command.args(["-q", "--no-table-headers", "list_queues", column]).stdout(Stdio::piped());
        let said = command.output().expect("rabbitmqctl runs");
        assert!(said.status.success(), "rabbitmqctl does not reach the server");
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        text.split_whitespace().map(|count| count.parse::<u64>().expect("a number")).sum()
    }
}

impl Drop for RabbitServer {
    fn drop(&mut self) {
        self.kill();
        let port = self.epmd_port.to_string();
        // It may have ended before.
        let _ =
            Command::new("epmd").args(["-port", &port, "-kill"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// The server that all tests of one run share: started by the first of them, ended when the runner has.
pub fn shared_url() -> String {
    let runner = parent_id();
    let folder = std::env::temp_dir().join(format!("vigie-rabbitmq-{runner}"));
    std::fs::create_dir_all(&folder).expect("a temporary folder");
    let lock = File::create(folder.join("lock")).expect("a lock file");
    lock.lock().expect("the lock");
    let file = folder.join("port");
    let port = match std::fs::read_to_string(&file).ok().and_then(|text| text.parse().ok()) {
        Some(port) => port,
        None => {
            let (port, epmd_port) = (free_port(), free_port());
            configure(&folder, port);
            start_for_run(&folder, port, epmd_port, runner);
            wait_for_server(port);
            write(&file, &port.to_string());
            port
        }
    };
    format!("amqp://guest:guest@127.0.0.1:{port}/")
}

fn start_for_run(folder: &Path, port: u16, epmd_port: u16, runner: u32) {
    let script = format!(
        "({PROGRAM} & while kill -0 {runner} 2>/dev/null; do sleep 1; done; \
         epmd -port {epmd_port} -kill; rm -rf '{}'; kill -KILL 0) &",
        folder.display()
    );
    let mut command = environment(Command::new("sh"), folder, port, epmd_port);
    command.arg("-c").arg(script).status().expect("a shell starts");
}

fn server(folder: &Path, port: u16, epmd_port: u16) -> Command {
    environment(Command::new(PROGRAM), folder, port, epmd_port)
}

fn environment(mut command: Command, folder: &Path, port: u16, epmd_port: u16) -> Command {
    command
        .process_group(0)
        .current_dir(folder)
        .env("HOME", folder)
        .env("RABBITMQ_NODENAME", format!("vigie-{port}@localhost"))
        .env("RABBITMQ_DIST_PORT", free_port().to_string())
        .env("ERL_EPMD_PORT", epmd_port.to_string())
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

fn configure(folder: &Path, port: u16) {
    let text = format!(
        "listeners.tcp.1 = 127.0.0.1:{port}\nlog.console = false\nlog.file.level = warning\n\
         vm_memory_high_watermark.absolute = 1GB\ndisk_free_limit.absolute = 50MB\n"
    );
    write(&folder.join("rabbitmq.conf"), &text);
    write(&folder.join("plugins"), "[].\n");
}

fn write(path: &Path, text: &str) {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).open(path).expect("a file");
    file.write_all(text.as_bytes()).expect("a file is written");
}

/// Free a moment ago; another process could take it, then the server does not start and the test says so.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

/// Waits until the server greets: it listens a little earlier.
fn wait_for_server(port: u16) {
    wait_until(|| greets(port));
}

fn wait_until(is_there: impl Fn() -> bool) {
    let began = Instant::now();
    while !is_there() {
        assert!(began.elapsed() < START_MAX, "rabbitmq-server does not answer");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn greets(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    stream.set_read_timeout(Some(Duration::from_secs(5))).expect("a deadline");
    let mut byte = [0];
    stream.write_all(b"AMQP\x00\x00\x09\x01").is_ok() && stream.read_exact(&mut byte).is_ok() && byte[0] == 1
}

fn signal_group(signal: &str, group: u32) {
    // Whoever is gone needs no signal.
    let _ = Command::new("kill").args([signal, "--", &format!("-{group}")]).stderr(Stdio::null()).status();
}

/// A place of a test's own on a server that others use too: names of queues and a ledger.
pub struct RabbitPlace {
    pub url: String,
    pub prefix: String,
    pub folder: tempfile::TempDir,
}

impl RabbitPlace {
    pub fn shared() -> RabbitPlace {
        RabbitPlace::on(&shared_url())
    }

    pub fn on(url: &str) -> RabbitPlace {
        let folder = tempfile::tempdir().expect("a temporary folder");
        RabbitPlace { url: url.to_owned(), prefix: format!("test.{}.", stdx::random::hex::<6>()), folder }
    }

    /// The same names on the same server, with a ledger that knows nothing of this one.
    pub fn beside(&self) -> RabbitPlace {
        let folder = tempfile::tempdir().expect("a temporary folder");
        RabbitPlace { url: self.url.clone(), prefix: self.prefix.clone(), folder }
    }

    pub fn config(&self) -> AmqpConfig {
        self.config_at(&self.url)
    }

    /// The same place, reached another way.
    pub fn config_at(&self, url: &str) -> AmqpConfig {
        let config = AmqpConfig::parse(url, self.folder.path().join("queue.db")).expect("an address");
        let naming = queue::brokers::amqp::Naming { prefix: self.prefix.clone(), ..config.naming };
        AmqpConfig { naming, ..config }
    }

    /// A broker on the test's clock.
    pub fn broker(&self, clock: &ManualClock, jobs_max: u64) -> Amqp {
        self.open(AmqpConfig { jobs_max, ..self.config() }, Arc::new(clock.clone()))
    }

    /// A broker on the machine's clock.
    pub fn live_broker(&self) -> Amqp {
        self.open(self.config(), Arc::new(SystemClock))
    }

    fn open(&self, config: AmqpConfig, clock: Arc<dyn Clock>) -> Amqp {
        Amqp::open(config, clock).expect("the broker opens")
    }
}
