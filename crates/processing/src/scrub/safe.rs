//! Fields that a project names safe: by their exact name, or by where they are. A safe object's fields are not safe.

use super::path::Path;
use super::selector::{Node, Selector};

#[derive(Default)]
pub(super) struct SafeFields {
    names: Vec<String>,
    places: Vec<Selector>,
}

impl SafeFields {
    /// Reads what stands in the settings. A place that cannot be read is a name: it then matches no field that is not
    /// called so, which fails towards scrubbing.
    pub fn new(fields: &[String]) -> SafeFields {
        let mut safe = SafeFields::default();
        for field in fields.iter().map(|field| field.trim()).filter(|field| !field.is_empty()) {
            match Selector::parse(field) {
                Ok(place) if field.contains(['.', '$', '*']) => safe.places.push(place),
                Ok(_) | Err(_) => safe.names.push(field.to_ascii_lowercase()),
            }
        }
        safe
    }

    pub fn holds(&self, path: &Path<'_>, name: &str) -> bool {
        if self.names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return true;
        }
        if self.places.is_empty() {
            return false;
        }
        let node = Node::of(path.steps(), None);
        self.places.iter().any(|place| place.matches(&node))
    }
}
