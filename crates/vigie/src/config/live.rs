//! The configuration of a running process, and how it changes: the file is read anew on SIGHUP, runtime options are looked
//! at every few seconds. What a process can follow it follows; the rest is said to need a restart.

use super::keys::KEYS;
use super::{Config, ConfigError};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use store::options::OptionRow;

type Follower = Box<dyn Fn(&Config) + Send + Sync>;

/// The configuration of this process now.
pub struct Live {
    current: RwLock<Arc<Config>>,
    options: Mutex<Vec<OptionRow>>,
    followers: Mutex<Vec<Follower>>,
}

impl Live {
    /// `config` is without runtime options, which are these.
    pub fn new(config: &Config, options: Vec<OptionRow>) -> Arc<Live> {
        let current = RwLock::new(Arc::new(config.with_options(&options)));
        let level: Follower = Box::new(|config| {
            // The value was checked against its kind.
            let _ = telemetry::logging::set_level(&config.log_level);
        });
        level(&current.read().unwrap_or_else(PoisonError::into_inner));
        Arc::new(Live { current, options: Mutex::new(options), followers: Mutex::new(vec![level]) })
    }

    pub fn current(&self) -> Arc<Config> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Calls `follower` with the configuration after each change.
    pub fn follow(&self, follower: impl Fn(&Config) + Send + Sync + 'static) {
        self.followers.lock().unwrap_or_else(PoisonError::into_inner).push(Box::new(follower));
    }

    /// Reads file and environment anew. With a mistake in them everything stays as it is.
    ///
    /// # Errors
    /// Every problem found.
    pub fn reload(&self) -> Result<(), ConfigError> {
        let fresh = Config::load(&self.current().flags)?;
        let options = self.options.lock().unwrap_or_else(PoisonError::into_inner);
        self.change(fresh.with_options(&options));
        Ok(())
    }

    /// Takes the store's options, if they are others than before.
    pub fn take_options(&self, fresh: Vec<OptionRow>) {
        let mut options = self.options.lock().unwrap_or_else(PoisonError::into_inner);
        if *options != fresh {
            self.change(self.current().with_options(&fresh));
            *options = fresh;
        }
    }

    /// Called with the options locked: of two changes the later one stays.
    fn change(&self, fresh: Config) {
        let before = self.current();
        for key in KEYS {
            let (old, new) = (before.layers.in_force(key.name), fresh.layers.in_force(key.name));
            if old.map(|setting| &setting.text) == new.map(|setting| &setting.text) {
                continue;
            }
            let source = new.map_or("not set", |setting| setting.place.as_str());
            match key.is_live {
                true => tracing::info!(key = key.name, source, "configuration changed"),
                false => {
                    tracing::warn!(key = key.name, source, "configuration changed; it takes effect after a restart")
                }
            }
        }
        let fresh = Arc::new(fresh);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        for follower in self.followers.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            follower(&fresh);
        }
    }
}
