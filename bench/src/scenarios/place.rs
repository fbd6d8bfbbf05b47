//! A private server in a fresh folder, which goes away with it.

use crate::Place;
use anyhow::Context;
use bench::rabbit::Rabbit;
use bench::redis::{self, Redis};
use bench::server::Server;
use std::ops::{Deref, DerefMut};
use std::path::PathBuf;

/// A running server and its folder.
pub struct Placed {
    server: Server,
    _redis: Option<Redis>,
    _rabbit: Option<Rabbit>,
    /// Removed at the end; `None` if it is kept.
    folder: Option<PathBuf>,
}

impl Place {
    /// Starts a server in the folder.
    ///
    /// # Errors
    /// If the folder cannot be made or the server does not start.
    pub fn start(&self) -> anyhow::Result<Placed> {
        let fresh = PathBuf::from(format!("target/bench/run-{}", std::process::id()));
        let folder = self.data_dir.clone().unwrap_or(fresh);
        std::fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
        let folder = folder.canonicalize().context("find the data folder")?;
        // Ceilings that protect a small machine would end a measurement early.
        let mut environment = vec![("VIGIE_QUEUE__MAX_BYTES", "20GB"), ("VIGIE_QUEUE__MAX_JOBS", "10000000")];
        let options = redis::Options { appendonly: true, ..redis::Options::default() };
        let redis = self.redis.then(|| Redis::start(&folder, options)).transpose()?;
        let rabbit = self.rabbitmq.then(|| Rabbit::start(&folder)).transpose()?;
        let url = redis.as_ref().map(|redis| redis.url(0)).or(rabbit.as_ref().map(Rabbit::url));
        environment.extend(url.as_deref().map(|url| ("BROKER_URL", url)));
        let server = Server::start(&self.exe, &folder.join("data"), &folder.join("server.log"), &environment)?;
        Ok(Placed { server, _redis: redis, _rabbit: rabbit, folder: (!self.keep).then_some(folder) })
    }
}

impl Deref for Placed {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl DerefMut for Placed {
    fn deref_mut(&mut self) -> &mut Server {
        &mut self.server
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        // The server must be gone before its folder is; what cannot be removed lies under target/ and harms nobody.
        let _ = self.server.kill();
        if let Some(folder) = &self.folder {
            let _ = std::fs::remove_dir_all(folder);
        }
    }
}
