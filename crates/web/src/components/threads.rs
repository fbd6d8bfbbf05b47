//! The threads of an event, each with its stack; the crashed or current one first.

use super::stacktrace::{FrameChoice, Stacktrace};
use crate::event_json::{boolean, text, values};
use askama::Template;
use serde_json::Value;

const THREADS_MAX: usize = 100;

#[derive(Clone, Debug, Template)]
#[template(path = "components/threads.html")]
pub struct Threads {
    threads: Vec<Thread>,
}

impl askama::filters::HtmlSafe for Threads {}

#[derive(Clone, Debug)]
struct Thread {
    name: String,
    state: Option<String>,
    is_crashed: bool,
    is_current: bool,
    stacktrace: Option<Stacktrace>,
}

impl Threads {
    pub fn of(interface: &Value, choice: FrameChoice) -> Threads {
        let objects = values(interface).iter().filter(|value| value.is_object()).take(THREADS_MAX);
        let mut threads: Vec<Thread> = objects.map(|value| Thread::of(value, choice)).collect();
        threads.sort_by_key(|thread| (!thread.is_crashed, !thread.is_current));
        Threads { threads }
    }

    pub fn is_empty(&self) -> bool {
        self.threads.is_empty()
    }
}

impl Thread {
    fn of(value: &Value, choice: FrameChoice) -> Thread {
        let id = text(value, &["id"]).map(|id| format!("Thread {id}"));
        Thread {
            name: text(value, &["name"]).or(id).unwrap_or_else(|| "Thread".to_owned()),
            state: text(value, &["state"]),
            is_crashed: boolean(value, &["crashed"]).unwrap_or(false),
            is_current: boolean(value, &["current"]).unwrap_or(false),
            stacktrace: Stacktrace::of(value, choice),
        }
    }
}
