//! What each source says of each key, all of it kept: the strongest is in force, and `config explain` shows the rest.

use super::keys::{self, KEYS};
use super::{Problem, suggestion};
use std::collections::BTreeMap;

/// Where a value may come from, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Layer {
    Default,
    File,
    Environment,
    Flag,
}

impl Layer {
    pub fn name(self) -> &'static str {
        match self {
            Layer::Default => "default",
            Layer::File => "file",
            Layer::Environment => "environment",
            Layer::Flag => "flag",
        }
    }
}

/// What one source says of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    pub layer: Layer,
    /// Flag, environment variable, or file and line.
    pub place: String,
    pub text: String,
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

    #[test]
    fn every_default_fits_its_kind() {
        assert_eq!(Layers::of_defaults().problems(), []);
    }
}
