//! Who calls an operation, by which way, under which number and until when: the context of a request, a command or a
//! job. A value made where that begins and passed on explicitly; nothing looks it up from a thread or a global.
//!
//! What changes something takes a `&Caller`, because the audit log names all of it. What only reads takes an `&Actor`,
//! which a caller lends by itself. There is no mark for reading one's own writes: every read of today's stores sees every
//! commit before it, so nobody could act on one.

use crate::Actor;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An actor with the circumstances of the request, command or job; cheap to clone.
#[derive(Clone, Debug)]
pub struct Caller {
    actor: Actor,
    channel: Channel,
    /// What the system does it for: a command, a task, a role.
    task: &'static str,
    /// Names the request in logs, in the audit log and in the answer's headers.
    request_id: Arc<str>,
    deadline: Option<Instant>,
}

/// The way a caller came in, as the audit log has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    Page,
    Api,
    Cli,
    /// A task or a role of the process itself.
    Task,
}

impl Channel {
    pub fn as_str(self) -> &'static str {
        match self {
            Channel::Page => "page",
            Channel::Api => "api",
            Channel::Cli => "cli",
            Channel::Task => "task",
        }
    }
}

impl Caller {
    /// Returns whoever asks over HTTP, with a fresh number and no deadline.
    pub fn new(actor: Actor, channel: Channel) -> Caller {
        Caller { actor, channel, task: "vigie", request_id: stdx::random::hex::<8>().into(), deadline: None }
    }

    /// Returns the command line: `system:<command>` in the audit log.
    pub fn of_command(command: &'static str) -> Caller {
        Caller { task: command, ..Caller::new(Actor::System, Channel::Cli) }
    }

    /// Returns a task or role: `system:<task>` in the audit log.
    pub fn of_task(task: &'static str) -> Caller {
        Caller { task, ..Caller::new(Actor::System, Channel::Task) }
    }

    /// Nobody waits for the answer once `after` has passed.
    #[must_use]
    pub fn within(mut self, after: Duration) -> Caller {
        self.deadline = Some(Instant::now() + after);
        self
    }

    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// Returns who it is in the audit log: an email, or `system:<task>`.
    pub fn actor_name(&self) -> String {
        match &self.actor {
            Actor::User(user) => user.email.clone(),
            Actor::System => format!("system:{}", self.task),
            Actor::Anonymous => "anonymous".to_owned(),
        }
    }

    pub fn channel(&self) -> Channel {
        self.channel
    }

    pub fn request_id(&self) -> &str {
        &self.request_id
    }

    /// Returns when nobody waits for the answer any more; `None` = never.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }
}

impl Deref for Caller {
    type Target = Actor;

    fn deref(&self) -> &Actor {
        &self.actor
    }
}
