//! A TCP proxy that can become a black hole: connections stay, new ones are taken, and nothing passes in either
//! direction, as when a cable is pulled or a firewall forgets its state. No end notices by itself.

use super::free_port;
use anyhow::Context;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How often a connection looks whether the hole has opened or closed.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const CHUNK_BYTES: usize = 64 << 10;

/// A proxy to a port of this machine; its connections end when this is dropped.
pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    is_hole: AtomicBool,
    is_over: AtomicBool,
}

impl Proxy {
    /// Listens on a free port.
    ///
    /// # Errors
    /// If it cannot.
    pub fn to(target: u16) -> anyhow::Result<Proxy> {
        let port = free_port()?;
        let listener = TcpListener::bind(("127.0.0.1", port)).context("listen as a proxy")?;
        let state = Arc::new(State::default());
        let shared = state.clone();
        std::thread::spawn(move || {
            for inner in listener.incoming().map_while(Result::ok) {
                if shared.is_over.load(Ordering::Relaxed) {
                    return;
                }
                let shared = shared.clone();
                std::thread::spawn(move || shared.connect(inner, target));
            }
        });
        Ok(Proxy { port, state })
    }

    /// From now on nothing passes.
    pub fn open_hole(&self) {
        self.state.is_hole.store(true, Ordering::Relaxed);
    }

    /// What was sent in the meantime arrives late, as TCP's repetitions would bring it.
    pub fn close_hole(&self) {
        self.state.is_hole.store(false, Ordering::Relaxed);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.is_over.store(true, Ordering::Relaxed);
        // Wakes the listener; if it is gone already, so be it.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn connect(self: &Arc<State>, inner: TcpStream, target: u16) {
        while self.is_hole.load(Ordering::Relaxed) && !self.is_over.load(Ordering::Relaxed) {
            std::thread::sleep(LOOK_EVERY);
        }
        // A server that is down refuses: the client sees its connection closed.
        let Ok(outer) = TcpStream::connect(("127.0.0.1", target)) else { return };
        let (Ok(inner_reader), Ok(outer_reader)) = (inner.try_clone(), outer.try_clone()) else { return };
        let back = self.clone();
        std::thread::spawn(move || back.pass(outer_reader, inner));
        self.pass(inner_reader, outer);
    }

    fn pass(&self, mut from: TcpStream, mut to: TcpStream) {
        let mut chunk = vec![0_u8; CHUNK_BYTES];
        // If it cannot be set the connection is gone, and reading says so.
        let _ = from.set_read_timeout(Some(LOOK_EVERY));
        let _ = to.set_nodelay(true);
        while !self.is_over.load(Ordering::Relaxed) {
            if self.is_hole.load(Ordering::Relaxed) {
                std::thread::sleep(LOOK_EVERY);
                continue;
            }
            match from.read(&mut chunk) {
                Ok(0) => break,
                Ok(length) => {
                    while self.is_hole.load(Ordering::Relaxed) && !self.is_over.load(Ordering::Relaxed) {
                        std::thread::sleep(LOOK_EVERY);
                    }
                    if to.write_all(&chunk[..length]).is_err() {
                        break;
                    }
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
                Err(_) => break,
            }
        }
        // Either end may have closed both directions before.
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    }
}
