//! Results of calls that Python workers ran for us. With Celery's `rpc://` a worker sends them to the queue that the call
//! names; from there they come into the ledger, where whoever waits looks.

use super::Shared;
use super::connection::Open;
use super::lanes::{Lane, Seat};
use super::tables::{elsewhere, rows};
use crate::celery::{self, Meta};
use crate::{JobId, JobResult, NewJob, QueueError, RESULT_BYTES_MAX};
use std::sync::Arc;

/// Behind the prefix of our queues. A colon first: no queue has that name.
const NAME: &str = ":replies";
/// Taken in one go; what is left is for the next look.
const TAKEN_MAX: usize = 500;

impl Shared {
    pub(super) fn replies_queue(&self) -> String {
        format!("{}{NAME}", self.config.naming.prefix)
    }

    /// Sees to it that whoever runs a call of ours can answer it. Only Python programs need to be told where.
    pub(super) fn expect_reply(&self, job: &mut NewJob) -> Result<(), QueueError> {
        if job.options.is_call && job.options.keeps_result && job.options.reply_to.is_none() {
            self.declare_replies(&self.open()?)?;
            job.options.reply_to = Some(self.replies_queue());
        }
        Ok(())
    }

    fn declare_replies(&self, open: &Arc<Open>) -> Result<(), QueueError> {
        let name: Arc<str> = self.replies_queue().into();
        self.link.declare(open, &Lane { queue: name.clone(), name, is_shared: false, seat: Seat::PLAIN })
    }

    /// Returns what a job came to.
    pub(super) fn result(&self, id: &JobId) -> Result<Option<JobResult>, QueueError> {
        let read = || self.tables.read(|tx| rows::result(tx, id.as_str()));
        let mut document = read()?;
        if document.is_none() {
            self.take_replies()?;
            document = read()?;
        }
        Ok(document.and_then(|document| celery::read_result(&document)))
    }

    /// Brings what was answered into the ledger.
    pub(super) fn take_replies(&self) -> Result<(), QueueError> {
        if self.shared_queues().is_empty() {
            return Ok(());
        }
        let open = self.open()?;
        self.declare_replies(&open)?;
        let queue = self.replies_queue();
        if self.link.count(&open, &queue)?.is_none_or(|(waiting, _)| waiting == 0) {
            return Ok(());
        }
        let Some((channel, taken)) = self.take_messages(&open, &queue, TAKEN_MAX)? else { return Ok(()) };
        let now = self.clock.now();
        self.tables.write(|tx| {
            for reply in &taken {
                let Some(id) = reply.properties.correlation_id().as_ref() else { continue };
                if reply.data.len() > RESULT_BYTES_MAX {
                    let why = format!("its result has {} bytes, at most {RESULT_BYTES_MAX} are kept", reply.data.len());
                    rows::keep_result(tx, id.as_str(), &Meta::Failure(&why).to_text(id.as_str(), None, now), now)?;
                    elsewhere::end_answered(tx, id.as_str(), now)?;
                } else if let Some(result) = celery::read_result(&reply.data) {
                    rows::keep_result(tx, id.as_str(), &reply.data, now)?;
                    // A retry is another message of the same job.
                    if !matches!(result, JobResult::Retry { .. }) {
                        elsewhere::end_answered(tx, id.as_str(), now)?;
                    }
                }
            }
            Ok(())
        })?;
        let last = taken.last().map(|reply| reply.delivery_tag);
        // Where this is not heard they come again, and say the same.
        self.let_go(channel, last).map_err(|fault| self.link.error(&fault))
    }
}
