//! A network that a test can break: it stands between a client and a server and passes bytes on, until told otherwise.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

type Hook = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct State {
    /// What is done before the first request that holds these bytes is passed on.
    hook: Mutex<Option<(Vec<u8>, Hook)>>,
    streams: Mutex<Vec<TcpStream>>,
    /// What the server says is swallowed.
    is_deaf: AtomicBool,
    /// Each answer is under way for so long.
    delay: Mutex<Duration>,
    /// What the client says ends its connection.
    is_broken: AtomicBool,
    is_closed: AtomicBool,
}

pub struct Proxy {
    pub port: u16,
    state: Arc<State>,
}

impl Proxy {
    pub fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(State::default());
        let accepting = state.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if accepting.is_closed.load(Ordering::SeqCst) {
                    return;
                }
                // A server that is away is one that ends the connection.
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    accepting.join(client, server);
                }
            }
        });
        Proxy { port, state }
    }

    /// From now on the client hears nothing, and the server hears everything.
    pub fn swallow_answers(&self) {
        self.state.is_deaf.store(true, Ordering::SeqCst);
    }

    /// From now on each answer takes so long.
    pub fn delay_answers(&self, delay: Duration) {
        *self.state.delay.lock().expect("nobody panicked") = delay;
    }

    /// Connections that were made since the last cut.
    pub fn connections(&self) -> usize {
        self.state.streams.lock().expect("nobody panicked").len() / 2
    }

    /// From now on nothing that the client says arrives, and saying it costs the connection.
    pub fn break_requests(&self) {
        self.state.is_broken.store(true, Ordering::SeqCst);
    }

    /// Does something once, before a request that holds these bytes is passed on.
    pub fn before(&self, bytes: &[u8], hook: impl FnOnce() + Send + 'static) {
        *self.state.hook.lock().expect("nobody panicked") = Some((bytes.to_vec(), Box::new(hook)));
    }

    /// Whether such a request came.
    pub fn has_met(&self) -> bool {
        self.state.hook.lock().expect("nobody panicked").is_none()
    }

    /// Ends all connections; new ones are passed on whole.
    pub fn cut(&self) {
        for stream in self.state.streams.lock().expect("nobody panicked").drain(..) {
            // It may have ended by itself.
            let _ = stream.shutdown(Shutdown::Both);
        }
        self.state.is_deaf.store(false, Ordering::SeqCst);
        self.state.is_broken.store(false, Ordering::SeqCst);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.is_closed.store(true, Ordering::SeqCst);
        self.cut();
        // Wakes the thread that accepts; it may have ended.
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

impl State {
    fn join(self: &Arc<State>, client: TcpStream, server: TcpStream) {
        let copy = |stream: &TcpStream| stream.try_clone().expect("a socket has two ends");
        self.streams.lock().expect("nobody panicked").extend([copy(&client), copy(&server)]);
        for (from, to, is_answer) in [(copy(&client), copy(&server), false), (server, client, true)] {
            let state = self.clone();
            std::thread::spawn(move || state.pass_on(from, to, is_answer));
        }
    }

    fn meet(&self, request: &[u8]) {
        let mut hook = self.hook.lock().expect("nobody panicked");
        let is_met = |(bytes, _): &mut (Vec<u8>, Hook)| request.windows(bytes.len()).any(|part| part == &bytes[..]);
        let met = hook.take_if(is_met);
        drop(hook);
        if let Some((_, hook)) = met {
            hook();
        }
    }

    fn wait(&self) {
        let until = Instant::now() + *self.delay.lock().expect("nobody panicked");
        while let left @ 1.. = until.saturating_duration_since(Instant::now()).as_nanos() {
            std::thread::park_timeout(Duration::from_nanos(left as u64));
        }
    }

    fn pass_on(&self, mut from: TcpStream, mut to: TcpStream, is_answer: bool) {
        let mut buffer = [0; 16 << 10];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if !is_answer && self.is_broken.load(Ordering::SeqCst) {
                break;
            }
            if is_answer {
                self.wait();
            } else {
                self.meet(&buffer[..length]);
            }
            let is_swallowed = is_answer && self.is_deaf.load(Ordering::SeqCst);
            if !is_swallowed && to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        // Both ends learn of it.
        let _ = (to.shutdown(Shutdown::Both), from.shutdown(Shutdown::Both));
    }
}
