//! What each source says of each key, all of it kept: the strongest is in force, and `config explain` shows the rest.

use super::keys::{self, KEYS};
use super::{Problem, suggestion};
use std::collections::BTreeMap;
use std::fmt;
use store::options::OptionRow;

/// Where a value may come from, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Default,
    /// A runtime option.
    Store,
    File,
    Environment,
    Flag,
}

impl Layer {
    pub fn name(self) -> &'static str {
        match self {
            Layer::Default => "default",
            Layer::Store => "runtime option",
            Layer::File => "file",
            Layer::Environment => "environment",
            Layer::Flag => "flag",
        }
    }
}

/// What one source says of one key.
#[derive(Clone, PartialEq, Eq)]
pub struct Setting {
    pub layer: Layer,
    /// Flag, environment variable, or file and line.
    pub place: String,
    pub text: String,
}

/// A value may be a secret.
impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.place)
    }
}

/// All settings of all keys, those of a key weakest first.
#[derive(Clone, Debug, Default)]
pub struct Layers(BTreeMap<&'static str, Vec<Setting>>);

impl Layers {
    /// Returns the defaults.
    pub fn of_defaults() -> Layers {
        let mut layers = Layers::default();
        for key in KEYS.iter().filter(|key| !key.default.is_empty()) {
            let place = Layer::Default.name().to_owned();
            layers.put(key.name, Setting { layer: Layer::Default, place, text: key.default.to_owned() });
        }
        layers
    }

    /// Adds what a source says. Of two in one layer the later wins.
    pub fn put(&mut self, name: &'static str, setting: Setting) {
        let settings = self.0.entry(name).or_default();
        let at = settings.partition_point(|other| other.layer <= setting.layer);
        settings.insert(at, setting);
    }

    /// Adds what a person wrote; a name that is no key becomes a problem.
    pub fn put_named(&mut self, name: &str, setting: Setting, problems: &mut Vec<Problem>) {
        match keys::find(name) {
            Some(key) => self.put(key.name, setting),
            None => {
                let text = format!("unknown key {name}{}", suggestion::hint(name));
                problems.push(Problem { place: setting.place, text });
            }
        }
    }

    /// Returns what all sources say of a key, weakest first.
    pub fn of(&self, name: &str) -> &[Setting] {
        self.0.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// Returns what is in force.
    pub fn in_force(&self, name: &str) -> Option<&Setting> {
        self.of(name).last()
    }

    /// Replaces what the store says. An option that this release does not know, or that no longer takes its value, counts
    /// as not set.
    pub fn put_options(&mut self, options: &[OptionRow]) {
        for settings in self.0.values_mut() {
            settings.retain(|setting| setting.layer != Layer::Store);
        }
        for row in options {
            match keys::find(&row.name).filter(|key| key.is_runtime) {
                None => tracing::debug!(option = row.name, "runtime option not known"),
                Some(key) => match key.kind.check(&row.value) {
                    Ok(()) => {
                        let place = format!("runtime option, set by {} ({})", row.changed_by, row.channel);
                        self.put(key.name, Setting { layer: Layer::Store, place, text: row.value.clone() });
                    }
                    Err(why) => tracing::warn!(option = row.name, why, "runtime option not taken"),
                },
            }
        }
    }

    /// Returns what is wrong with any value of any source: what is overruled today is in force tomorrow.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (name, settings) in &self.0 {
            let key = keys::find(name).expect("layers hold known keys only");
            for setting in settings {
                if let Err(text) = key.kind.check(&setting.text) {
                    problems.push(Problem { place: setting.place.clone(), text: format!("{name}: {text}") });
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(layer: Layer, text: &str) -> Setting {
        Setting { layer, place: layer.name().to_owned(), text: text.to_owned() }
    }

    #[test]
    fn the_strongest_source_wins_in_whatever_order_they_speak() {
        let mut layers = Layers::of_defaults();
        for layer in [Layer::Flag, Layer::File, Layer::Environment] {
            layers.put("worker.pool", setting(layer, layer.name()));
        }
        assert_eq!(layers.in_force("worker.pool"), Some(&setting(Layer::Flag, "flag")));
        let order: Vec<Layer> = layers.of("worker.pool").iter().map(|setting| setting.layer).collect();
        assert_eq!(order, [Layer::Default, Layer::File, Layer::Environment, Layer::Flag]);
    }

    fn option(name: &str, value: &str) -> OptionRow {
        let (changed_by, channel) = ("system".to_owned(), "cli".to_owned());
        let changed_at = stdx::Timestamp::EPOCH;
        OptionRow { name: name.to_owned(), value: value.to_owned(), changed_at, changed_by, channel }
    }

    #[test]
    fn a_runtime_option_is_weaker_than_the_file_and_goes_when_it_is_unset() {
        let mut layers = Layers::of_defaults();
        layers.put("queue.max-jobs", setting(Layer::File, "5"));
        layers.put_options(&[option("queue.max-jobs", "6"), option("log.level", "debug")]);
        let in_force = |layers: &Layers, name: &str| layers.in_force(name).map(|setting| setting.text.clone());
        assert_eq!(in_force(&layers, "queue.max-jobs"), Some("5".to_owned()));
        assert_eq!(in_force(&layers, "log.level"), Some("debug".to_owned()));
        layers.put_options(&[]);
        assert_eq!(in_force(&layers, "log.level"), Some("info".to_owned()));
    }

    #[test]
    fn an_option_that_cannot_be_taken_counts_as_not_set() {
        let mut layers = Layers::of_defaults();
        layers.put_options(&[option("log.level", "loud"), option("web.listen", "0.0.0.0:1"), option("later.key", "1")]);
        assert_eq!(layers.0.values().flatten().filter(|setting| setting.layer == Layer::Store).count(), 0);
    }

    #[test]
    fn every_default_fits_its_kind() {
        assert_eq!(Layers::of_defaults().problems(), []);
    }
}
