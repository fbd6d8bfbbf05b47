//! Queues on the server: whether one is there, and how one is declared.

use super::config::LaneKind;
use super::connection::Open;
use super::lanes::Lane;
use super::link::{Fault, Link, NOT_FOUND, PRECONDITION_FAILED, lock};
use crate::QueueError;
use lapin::ExchangeKind;
use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use std::sync::Arc;

/// How often a message may come back is for the ledger to count, not for a server that drops it then: release 4 does so
/// after 20 times unless told otherwise. "No limit" (-1) is not it: release 3.10 takes that and drops at the first return.
const DELIVERIES_MAX: i64 = 1_000_000_000;

impl Link {
    /// Messages that wait in a queue and how many consumers it has; `None` if there is no such queue.
    pub fn count(&self, open: &Arc<Open>, queue: &str) -> Result<Option<(u64, u64)>, QueueError> {
        let name = queue.to_owned();
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let answer = self.ask(open, |channel| async move {
            let queue = channel.queue_declare(name.as_str().into(), options, FieldTable::default()).await?;
            Ok((u64::from(queue.message_count()), u64::from(queue.consumer_count())))
        });
        match answer {
            Ok(counts) => Ok(Some(counts)),
            Err(fault) if fault.code() == Some(NOT_FOUND) => Ok(None),
            Err(fault) => Err(self.error(&fault)),
        }
    }

    /// Sees to it that a lane's queue is there. One that is there already is taken as it is.
    pub fn declare(&self, open: &Arc<Open>, lane: &Lane) -> Result<(), QueueError> {
        if lock(&open.declared).contains(&lane.name) {
            return Ok(());
        }
        let made = match lane.is_shared {
            true => self.declare_as_celery(open, &lane.name),
            false => self.declare_own(open, &lane.name),
        };
        let made = match made {
            Err(fault) if fault.code() == Some(PRECONDITION_FAILED) && self.count(open, &lane.name)?.is_some() => {
                Ok(())
            }
            made => made,
        };
        made.map_err(|fault| self.error(&fault))?;
        lock(&open.declared).insert(lane.name.clone());
        Ok(())
    }

    /// A queue was deleted behind our back.
    pub fn forget_declared(&self, open: &Open, lane: &str) {
        lock(&open.declared).remove(lane);
    }

    fn declare_own(&self, open: &Arc<Open>, name: &str) -> Result<(), Fault> {
        let mut arguments = FieldTable::default();
        match self.config.lane_kind {
            LaneKind::Classic => {
                arguments.insert("x-queue-type".into(), AMQPValue::LongString("classic".into()));
                // A backlog in the server's memory is copied whole by each of its collections of garbage.
                arguments.insert("x-queue-mode".into(), AMQPValue::LongString("lazy".into()));
            }
            LaneKind::Quorum => {
                arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
                arguments.insert("x-delivery-limit".into(), AMQPValue::LongLongInt(DELIVERIES_MAX));
            }
        }
        let name = name.to_owned();
        let declared = self.ask(open, |channel| async move {
            let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.as_str().into(), options, arguments).await
        });
        declared.map(drop)
    }

    /// Exchange, queue and binding, with the arguments that Celery would give: a worker that declares them again is content.
    fn declare_as_celery(&self, open: &Arc<Open>, name: &str) -> Result<(), Fault> {
        let name = name.to_owned();
        self.ask(open, |channel| async move {
            let nothing = FieldTable::default;
            let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            channel.exchange_declare(name.as_str().into(), ExchangeKind::Direct, durable, nothing()).await?;
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            channel.queue_declare(name.as_str().into(), durable, nothing()).await?;
            let (queue, exchange, key) = (name.as_str().into(), name.as_str().into(), name.as_str().into());
            channel.queue_bind(queue, exchange, key, QueueBindOptions::default(), nothing()).await
        })
    }
}
