//! Real Celery beside Vigie's workers on one Redis or one RabbitMQ: messages, results and failures cross both ways, workflows have steps
//! on both sides, either side's dead worker is replaced by the other's, and whatever a Redis may ask for is spoken.

mod messages;
mod rabbitmq;
mod servers;
mod takeover;
mod versions;
mod workflows;

pub use messages::run as messages;
pub use rabbitmq::run as on_rabbitmq;
pub use servers::run as servers;
pub use takeover::run as takeover;
pub use versions::run as versions;
pub use workflows::run as workflows;

use super::Case;
use super::celery::{Celery, Client, Worker};
use super::house::{House, Process};
use super::redis::{self, Options, Redis};
use super::servers::Server;

/// One server, a worker of Vigie's, a Celery client, and a Celery worker for the queue `python`.
struct Both {
    house: House,
    server: Server,
    client: Client,
    vigie_worker: Process,
    _celery_worker: Worker,
}

impl Both {
    fn start(case: &Case<'_>) -> anyhow::Result<Both> {
        let (house, redis, celery) = on_one_redis(case, Options::default())?;
        Both::start_on(house, Server::Redis(redis), &celery)
    }

    fn start_on(house: House, server: Server, celery: &Celery) -> anyhow::Result<Both> {
        let vigie_worker = house.worker("interop", &["-c", "2"])?;
        let client = celery.client()?;
        let celery_worker = celery.worker("python", "python")?;
        Ok(Both { house, server, client, vigie_worker, _celery_worker: celery_worker })
    }

    /// Ends Vigie's worker in good order.
    fn end(mut self) -> anyhow::Result<()> {
        self.vigie_worker.terminate()?;
        self.house.end();
        Ok(())
    }
}

/// A Redis, a house and a Celery that use it.
fn on_one_redis(case: &Case<'_>, options: Options) -> anyhow::Result<(House, Redis, Celery)> {
    let house = House::new(case, &[])?;
    let redis = redis::start(&house.folder, options)?;
    let url = redis.url(0);
    let celery = Celery::over(&url, &house.folder)?;
    let house = house.through(&[("BROKER_URL", &url)]);
    Ok((house, redis, celery))
}
