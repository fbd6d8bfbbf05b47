//! The server that a test's jobs go through, whichever it is: what a test of both does to it.

use super::programs;
use super::redis::{self, Options, Redis};
use bench::rabbit::Rabbit;
use std::path::Path;

/// Which server a test is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Redis,
    RabbitMq,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Redis => "Redis",
            Kind::RabbitMq => "RabbitMQ",
        }
    }

    /// Starts a server that keeps what it took; see `bench::redis` and `bench::rabbit`.
    ///
    /// # Errors
    /// If it is not there and cannot be installed, or does not start.
    pub fn start(self, folder: &Path) -> anyhow::Result<Server> {
        Ok(match self {
            Kind::Redis => Server::Redis(redis::start(folder, Options { appendonly: true, ..Options::default() })?),
            Kind::RabbitMq => Server::RabbitMq(rabbit(folder)?),
        })
    }
}

/// Starts a RabbitMQ.
///
/// # Errors
/// If it is not there and cannot be installed, or does not start.
pub fn rabbit(folder: &Path) -> anyhow::Result<Rabbit> {
    programs::rabbitmq()?;
    Rabbit::start(folder)
}

/// A running server; it is killed when this is dropped.
pub enum Server {
    Redis(Redis),
    RabbitMq(Rabbit),
}

impl Server {
    pub fn kind(&self) -> Kind {
        match self {
            Server::Redis(_) => Kind::Redis,
            Server::RabbitMq(_) => Kind::RabbitMq,
        }
    }

    pub fn port(&self) -> u16 {
        match self {
            Server::Redis(redis) => redis.port,
            Server::RabbitMq(rabbit) => rabbit.port,
        }
    }

    pub fn url(&self) -> String {
        self.url_at(self.port())
    }

    /// The same through another port: a proxy's.
    pub fn url_at(&self, port: u16) -> String {
        match self {
            Server::Redis(redis) => redis.url_at(port, 0),
            Server::RabbitMq(rabbit) => rabbit.url_at(port),
        }
    }

    /// SIGKILL, and waits for the end.
    ///
    /// # Errors
    /// If it cannot be killed.
    pub fn kill(&mut self) -> anyhow::Result<()> {
        match self {
            Server::Redis(redis) => redis.kill(),
            Server::RabbitMq(rabbit) => rabbit.kill(),
        }
    }

    /// Starts it on the same port and data, after it was killed; returns when it answers.
    ///
    /// # Errors
    /// If it does not.
    pub fn start_again(&mut self) -> anyhow::Result<()> {
        match self {
            Server::Redis(redis) => redis.start_again(),
            Server::RabbitMq(rabbit) => rabbit.start_again(),
        }
    }
}
