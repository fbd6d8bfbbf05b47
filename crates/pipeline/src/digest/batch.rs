//! The plans of a day, parted into what each store takes, and whose they are. It must not decide what becomes of them.

use super::plan::{Plan, Planned, PlannedEvent};
use store::digest::{DigestAttachment, DigestEvent, DigestLoose};

/// Plans of one receipt day that are written together.
#[derive(Default)]
pub struct Batch {
    pub events: Vec<DigestEvent>,
    /// One for each event.
    pub rows: Vec<Body>,
    pub loose: Vec<DigestLoose>,
    /// One for each event and, after those, for each loose envelope.
    sources: Vec<Source>,
}

/// An event's body as its row holds it.
pub struct Body {
    pub dictionary_id: i64,
    pub bytes: Vec<u8>,
}

/// Where a plan is from.
struct Source {
    /// Its job's place in the run.
    job: usize,
    /// The blob that the job's body came in.
    body_blob: Option<String>,
}

impl Batch {
    /// Returns the batch of plans, each with its job's place in the run.
    pub fn of(plans: Vec<(usize, Planned)>) -> Batch {
        let mut batch = Batch::default();
        let mut sources_of_loose = Vec::new();
        for (job, Planned { plan, body_blob }) in plans {
            let source = Source { job, body_blob };
            match plan {
                Plan::Event(event) => {
                    let PlannedEvent { digest, dictionary_id, body } = *event;
                    batch.events.push(digest);
                    batch.rows.push(Body { dictionary_id, bytes: body });
                    batch.sources.push(source);
                }
                Plan::Loose(envelope) => {
                    batch.loose.push(*envelope);
                    sources_of_loose.push(source);
                }
            }
        }
        batch.sources.append(&mut sources_of_loose);
        batch
    }

    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Returns its two halves; the first is empty if it holds one plan only.
    pub fn halves(mut self) -> [Batch; 2] {
        let at = self.len() / 2;
        let of_events = at.min(self.events.len());
        let right = Batch {
            events: self.events.split_off(of_events),
            rows: self.rows.split_off(of_events),
            loose: self.loose.split_off(at - of_events),
            sources: self.sources.split_off(at),
        };
        [self, right]
    }

    /// Returns the places of its jobs in the run.
    pub fn jobs(&self) -> impl Iterator<Item = usize> {
        self.sources.iter().map(|source| source.job)
    }

    pub fn attachments(&self) -> impl Iterator<Item = &DigestAttachment> {
        let of_events = self.events.iter().flat_map(|event| &event.attachments);
        of_events.chain(self.loose.iter().flat_map(|envelope| &envelope.attachments))
    }

    /// Returns the blobs that bodies came in.
    pub fn body_blobs(&self) -> Vec<String> {
        self.sources.iter().filter_map(|source| source.body_blob.clone()).collect()
    }
}
