//! How much text a project's rules may add. Rules that replace one another's texts multiply, and an event has many
//! values: without bounds a few lines of settings would make gigabytes of one small event.

/// What a short text may become. A long one may double.
const VALUE_BYTES: usize = 8 << 10;
const VALUE_FACTOR: usize = 2;
/// What all values of one event may grow by together: as much as an event itself.
const EVENT_BYTES: usize = 1 << 20;

/// What is left to grow, of one value and of the event.
pub(super) struct Growth {
    value_bytes_max: usize,
    event_bytes_left: usize,
}

impl Default for Growth {
    fn default() -> Self {
        Growth { value_bytes_max: 0, event_bytes_left: EVENT_BYTES }
    }
}

impl Growth {
    /// Begins with another value, of which no rule has changed the text yet.
    pub fn begin_value(&mut self, bytes: usize) {
        self.value_bytes_max = bytes.saturating_mul(VALUE_FACTOR).saturating_add(VALUE_BYTES);
    }

    /// Returns the bytes that the value may have after all rules.
    pub fn value_bytes_max(&self) -> usize {
        self.value_bytes_max
    }

    /// Returns whether a text of so many bytes may become one of so many others, and counts it if it may.
    pub fn allows(&mut self, before: usize, after: usize) -> bool {
        let added = after.saturating_sub(before);
        let is_allowed = after <= self.value_bytes_max && added <= self.event_bytes_left;
        if is_allowed {
            self.event_bytes_left -= added;
        }
        is_allowed
    }
}
