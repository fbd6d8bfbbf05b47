//! What a supervisor is told: systemd's readiness and watchdog, by datagrams to the socket it names. Under any other
//! supervisor, or none, nothing is sent.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;
use stdx::component::ComponentError;
use stdx::{Component, Shutdown};

/// Says that the process is ready and, while its executor turns, that it lives; says so too when it stops.
pub fn component(shutdown: Shutdown) -> Component {
    Component::new("supervisor", keep_telling(shutdown))
}

async fn keep_telling(shutdown: Shutdown) -> Result<(), ComponentError> {
    let Some(socket) = Socket::of_environment() else {
        shutdown.triggered().await;
        return Ok(());
    };
    socket.tell("READY=1");
    // Half of what the supervisor allows, as its manual asks for.
    let every = watchdog_period().map_or(Duration::MAX, |period| period / 2);
    loop {
        tokio::select! {
            () = shutdown.triggered() => break,
            () = tokio::time::sleep(every) => socket.tell("WATCHDOG=1"),
        }
    }
    socket.tell("STOPPING=1");
    Ok(())
}

struct Socket {
    socket: UnixDatagram,
    path: String,
}

impl Socket {
    #[allow(clippy::disallowed_methods, reason = "a supervisor speaks by the environment")]
    fn of_environment() -> Option<Socket> {
        let path = std::env::var("NOTIFY_SOCKET").ok().filter(|path| !path.is_empty())?;
        Some(Socket { socket: UnixDatagram::unbound().ok()?, path })
    }

    fn tell(&self, state: &str) {
        let sent = match self.path.strip_prefix('@') {
            Some(name) => {
                use std::os::linux::net::SocketAddrExt;
                std::os::unix::net::SocketAddr::from_abstract_name(name)
                    .and_then(|address| self.socket.send_to_addr(state.as_bytes(), &address))
            }
            None => self.socket.send_to(state.as_bytes(), &self.path),
        };
        if let Err(error) = sent {
            tracing::warn!(error = %error, state, "supervisor not told");
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a supervisor speaks by the environment")]
fn watchdog_period() -> Option<Duration> {
    let micros: u64 = std::env::var("WATCHDOG_USEC").ok()?.parse().ok()?;
    Some(Duration::from_micros(micros)).filter(|period| !period.is_zero())
}
