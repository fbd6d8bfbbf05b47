//! What became of an item, in Sentry's words: outcomes by number and the reasons that Vigie gives. Stored and shown as
//! they stand here.

/// The fate of a quantity.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Outcome {
    Accepted,
    Filtered,
    RateLimited,
    Invalid,
    Abuse,
    ClientDiscard,
    CardinalityLimited,
}

impl Outcome {
    pub const ALL: [Outcome; 7] = [
        Outcome::Accepted,
        Outcome::Filtered,
        Outcome::RateLimited,
        Outcome::Invalid,
        Outcome::Abuse,
        Outcome::ClientDiscard,
        Outcome::CardinalityLimited,
    ];

    /// Returns Sentry's number of the outcome.
    pub const fn number(self) -> u8 {
        self as u8
    }

    pub const fn name(self) -> &'static str {
        match self {
            Outcome::Accepted => "accepted",
            Outcome::Filtered => "filtered",
            Outcome::RateLimited => "rate_limited",
            Outcome::Invalid => "invalid",
            Outcome::Abuse => "abuse",
            Outcome::ClientDiscard => "client_discard",
            Outcome::CardinalityLimited => "cardinality_limited",
        }
    }
}

/// Why an accepted item was not stored.
pub mod reason {
    /// An event with this id is stored already.
    pub const DUPLICATE: &str = "duplicate";
    /// The payload of an event could not be read as JSON, even after repair.
    pub const INVALID_JSON: &str = "invalid_json";
    /// A second item of a kind of which one counts.
    pub const DUPLICATE_ITEM: &str = "duplicate_item";
    /// Attachments came for an event that was not kept.
    pub const NO_EVENT_PAYLOAD: &str = "no_event_payload";
    /// The kind of item is known but not kept by this version.
    pub const NOT_KEPT: &str = "not-kept";
    /// The kind of item is not known.
    pub const UNKNOWN_ITEM: &str = "unknown_item";
    /// The envelope held nothing.
    pub const EMPTY_ENVELOPE: &str = "empty_envelope";
}
