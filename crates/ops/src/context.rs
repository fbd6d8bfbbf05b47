//! What every operation needs: the stores, the broker, the clock and the bounds that live in memory.

use crate::users::LoginLimits;
use std::sync::{Arc, RwLock};
use stdx::Clock;

/// What operations work with; one for the process, shared.
pub struct Ops {
    pub clock: Arc<dyn Clock>,
    public_url: RwLock<String>,
    pub(crate) login_limits: LoginLimits,
}

impl Ops {
    /// `public_url` is the public address without a trailing slash, as DSNs and links show it.
    pub fn new(clock: Arc<dyn Clock>, public_url: &str) -> Ops {
        Ops {
            clock,
            public_url: RwLock::new(public_url.trim_end_matches('/').to_owned()),
            login_limits: LoginLimits::default(),
        }
    }

    /// Returns the public address without a trailing slash.
    pub fn public_url(&self) -> String {
        self.public_url.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// Replaces the public address, once the listener knows its port.
    pub fn set_public_url(&self, url: &str) {
        let mut public_url = self.public_url.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        *public_url = url.trim_end_matches('/').to_owned();
    }
}
