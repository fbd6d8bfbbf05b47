//! Which installation a virtual host belongs to. Two that share one would take each other's jobs, which the ledger of
//! either calls lost. So each has an id in its ledger, and says it at each connection by declaring a queue in which nothing
//! ever is: RabbitMQ compares what a queue is declared with, in one step, and its refusal names who was first.

use super::Shared;
use super::config::LaneKind;
use super::connection::Open;
use super::link::{Fault, Link, PRECONDITION_FAILED};
use super::tables::{Tables, installation};
use crate::QueueError;
use lapin::Channel;
use lapin::options::QueueDeclareOptions;
use lapin::types::{AMQPValue, FieldTable};
use std::sync::Arc;
use std::time::Duration;

/// Behind the prefix of our queues. A colon first: no queue has that name.
const NAME: &str = ":installation";
/// Of a host's name in an id.
const HOST_BYTES_MAX: usize = 100;

/// Returns the id that the ledger has, made when it is first asked for. The host's name is in it for whoever reads it in a
/// refusal; it stays what it is when the folder moves.
pub(super) fn id_of(tables: &Tables) -> Result<Arc<str>, QueueError> {
    let host = super::host_name();
    let fresh = format!("{}@{}", stdx::random::hex::<8>(), &host[..host.floor_char_boundary(HOST_BYTES_MAX)]);
    let id = tables.write(|tx| {
        installation::name(tx, &fresh)?;
        installation::id(tx)
    })?;
    Ok(id.unwrap_or(fresh).into())
}

impl Link {
    /// Makes the virtual host ours, or finds that it is.
    pub fn claim_host(&self, open: &Arc<Open>, id: &str, within: Duration) -> Result<(), Fault> {
        let kinds = match self.config.lane_kind {
            LaneKind::Classic => ["classic", "quorum"],
            // It must be there while a node is not.
            LaneKind::Quorum => ["quorum", "classic"],
        };
        let mut last = Ok(());
        for kind in kinds {
            let (name, arguments) = (self.host_queue(), arguments(kind, id));
            let declared = self.ask_within(within, open, |channel| declare(channel, name, arguments));
            let fault = match declared {
                Ok(()) => return Ok(()),
                Err(fault) if fault.code() == Some(PRECONDITION_FAILED) => fault,
                Err(fault) => return Err(fault),
            };
            let said = fault.text();
            if !said.contains("'x-queue-type'") {
                return Err(Fault::NotOurs(self.not_ours(id, &first_of(&said))));
            }
            // It was begun with another `queue_type`, which says nothing about who began.
            last = Err(fault);
        }
        last
    }

    /// Looks whether the virtual host is somebody else's, and makes it nobody's.
    pub fn look_at_host(&self, open: &Arc<Open>, id: Option<&str>) -> Result<(), QueueError> {
        if self.count(open, &self.host_queue())?.is_none() {
            return Ok(());
        }
        let looked = match id {
            Some(id) => self.claim_host(open, id, super::link::ANSWER_MAX),
            None => Err(Fault::NotOurs(self.not_ours("one that was never started", "an id of its own"))),
        };
        looked.map_err(|fault| self.error(&fault))
    }

    fn host_queue(&self) -> String {
        format!("{}{NAME}", self.config.naming.prefix)
    }

    fn not_ours(&self, own: &str, other: &str) -> String {
        format!(
            "another installation of Vigie uses the virtual host {} (it is {other}, this one is {own}): give each a virtual \
             host of its own in broker.url; if the other one is gone for good, delete the queue {} there, and this one takes \
             over, with the jobs that wait in it",
            self.config.virtual_host,
            self.host_queue()
        )
    }
}

impl Shared {
    /// Looks again: somebody may have removed our queue, or the whole virtual host, and another may have come.
    pub(super) fn look_at_host(&self) -> Result<(), QueueError> {
        let Some(open) = self.link.if_open() else { return Ok(()) };
        let looked = self.link.claim_host(&open, &self.installation, super::link::ANSWER_MAX);
        looked.map_err(|fault| self.link.failed(&open, &fault))
    }
}

fn arguments(kind: &str, id: &str) -> FieldTable {
    let mut arguments = FieldTable::default();
    let text = |text: &str| AMQPValue::LongString(text.into());
    arguments.insert("x-queue-type".into(), text(kind));
    // Of the words that a server compares the only one that may say anything. It is looked at where messages end, and none
    // comes here.
    arguments.insert("x-dead-letter-exchange".into(), text(""));
    arguments.insert("x-dead-letter-routing-key".into(), text(id));
    arguments
}

async fn declare(channel: Channel, name: String, arguments: FieldTable) -> lapin::Result<()> {
    let options = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(name.as_str().into(), options, arguments).await.map(drop)
}

/// Who was first, as the server's refusal ends: "received 'b' but current is 'a'".
fn first_of(said: &str) -> String {
    let current = said.rsplit_once("current is ").map_or("not known", |(_, current)| current);
    current.trim_matches('\'').to_owned()
}
