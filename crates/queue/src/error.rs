//! What can go wrong with a queue.

use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// A bound is reached: the job is refused, nothing was kept. Clients wait and send again.
    #[error("the queue is full: {bound}")]
    Full { bound: &'static str },
    /// Nothing can be written now: disk full, below the floor, or giving errors. Nothing was kept.
    #[error("the queue cannot be written: {why}")]
    Unwritable { why: String },
    /// The same of what is kept while the broker is away.
    #[error("the broker is away ({broker}), and its spool: {why}")]
    SpoolUnwritable { broker: String, why: String },
    #[error("another process owns the queue in {}", folder.display())]
    Owned { folder: PathBuf },
    #[error("use the queue's files in {}", folder.display())]
    Files {
        folder: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{} was written by a newer release: version {version}", path.display())]
    Newer { path: PathBuf, version: u8 },
    #[error("a job's id or a name of it has {length} bytes, at most {max} are allowed")]
    IdTooLong { length: usize, max: usize },
    /// A dead letter that cannot go back now: a job of its id, or with its unique key, lives.
    #[error("a job with the {by} of {id} lives already")]
    Lives { id: String, by: &'static str },
    /// The broker does not answer. What was asked may have happened or not; asking again is safe.
    #[error("{broker} does not answer: {why}")]
    Unreachable { broker: String, why: String },
    /// The broker answered and refused.
    #[error("{broker} refused: {why}")]
    Refused { broker: String, why: String },
    /// Jobs that were to be taken out of the queue could not be accounted for: they stay.
    #[error("account for jobs that leave the queue: {why}")]
    Unaccounted { why: String },
    #[error("the queue has been closed")]
    Closed,
}
