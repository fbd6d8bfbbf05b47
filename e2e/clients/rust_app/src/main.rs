//! A small application with Sentry's Rust SDK. Argument: the DSN. Its last line is JSON: the ids of what it sent.

use sentry::protocol::{Attachment, Breadcrumb, Event, User};
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

#[derive(Debug)]
struct StockError(std::io::Error);

impl fmt::Display for StockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("stock of shelf 7 is unknown")
    }
}

impl std::error::Error for StockError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.0)
    }
}

fn count_shelf() -> Result<u32, StockError> {
    Err(StockError(std::io::Error::new(std::io::ErrorKind::NotFound, "no file of shelf 7")))
}

fn main() {
    let dsn = std::env::args().nth(1).expect("the DSN is the first argument");
    // A panic's id is known to nobody but the hook, so the last event's id is kept on its way out.
    let last = Arc::new(Mutex::new(String::new()));
    let kept = last.clone();
    let mut options = sentry::ClientOptions::new().dsn(&dsn).release("stock@0.3.0").environment("production");
    options.attach_stacktrace = true;
    options.before_send = Some(Arc::new(move |event: Event<'static>| {
        *kept.lock().expect("nobody panics here") = event.event_id.simple().to_string();
        Some(event)
    }));
    let version = options.user_agent.split('/').next_back().unwrap_or_default().to_owned();
    let client = sentry::init(options);
    sentry::configure_scope(|scope| {
        scope.set_user(Some(User { id: Some("r7".into()), email: Some("rita@example.org".into()), ..User::default() }));
        scope.set_tag("aisle", "north");
        scope.add_attachment(Attachment {
            buffer: b"shelf\x00\xff\n".to_vec(),
            filename: "shelf.bin".into(),
            ..Attachment::default()
        });
    });
    sentry::add_breadcrumb(Breadcrumb { message: Some("opened shelf 7".into()), ..Breadcrumb::default() });
    let error = count_shelf().expect_err("the shelf is always unknown");
    let exception = sentry::capture_error(&error).simple().to_string();
    let message = sentry::capture_message("plain message of rust", sentry::Level::Warning).simple().to_string();
    let caught = std::panic::catch_unwind(|| {
        let shelves: Vec<u32> = Vec::new();
        shelves[std::hint::black_box(3)]
    });
    assert!(caught.is_err(), "an index beyond the end panics");
    let panic = last.lock().expect("nobody panics here").clone();
    client.flush(Some(Duration::from_secs(5)));
    let sent = serde_json::json!({
        "version": version,
        "exception": exception,
        "message": message,
        "panic": panic,
    });
    println!("{sent}");
}
