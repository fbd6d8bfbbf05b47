//! What the standard library lacks, in Vigie's words: clock, times, byte sizes, backoff, networks, random
//! tokens, redaction and the life cycle of long-running components.
//!
//! `stdx` knows nothing of events, jobs, SQL or HTTP, and every other crate may use it.

pub mod backoff;
pub mod byte_size;
pub mod causes;
pub mod clock;
pub mod component;
pub mod hex;
pub mod nearest;
pub mod networks;
pub mod random;
pub mod redacted;
pub mod timestamp;

pub use backoff::Backoff;
pub use byte_size::ByteSize;
pub use clock::{Clock, ManualClock, SystemClock};
pub use component::{Component, Components, Shutdown};
pub use nearest::nearest;
pub use networks::{Network, Proxies};
pub use redacted::Redacted;
pub use timestamp::{Day, Hour, Timestamp};
