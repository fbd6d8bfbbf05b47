//! A client of a RabbitMQ server that is not ours.

use super::RabbitPlace;
use lapin::options::{
    BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions, QueueDeclareOptions,
    QueueDeleteOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ExchangeKind};

/// A client of the server's that is not ours.
pub struct Stranger {
    runtime: tokio::runtime::Runtime,
    connection: Connection,
    channel: Channel,
}

impl Stranger {
    pub fn on(place: &RabbitPlace) -> Stranger {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
        let (connection, channel) = runtime.block_on(async {
            let url = format!("{}%2f", place.url);
            let connection = Connection::connect(&url, ConnectionProperties::default());
            let connection = connection.await.expect("the server answers");
            let channel = connection.create_channel().await.expect("a channel");
            channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
            (connection, channel)
        });
        Stranger { runtime, connection, channel }
    }

    /// As Celery declares a queue; another declaration of it than ours would be refused.
    pub fn declare(&self, queue: &str) -> u32 {
        self.runtime.block_on(async {
            let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
            let exchange =
                self.channel.exchange_declare(queue.into(), ExchangeKind::Direct, durable, FieldTable::default());
            exchange.await.expect("the exchange is Celery's");
            let durable = QueueDeclareOptions { durable: true, ..QueueDeclareOptions::default() };
            let declared = self.channel.queue_declare(queue.into(), durable, FieldTable::default()).await;
            declared.expect("the queue is Celery's").message_count()
        })
    }

    pub fn send(&self, exchange: &str, key: &str, properties: BasicProperties, body: &[u8]) {
        self.runtime.block_on(async {
            let options = BasicPublishOptions::default();
            let sent = self.channel.basic_publish(exchange.into(), key.into(), options, body, properties).await;
            sent.expect("sent").await.expect("confirmed");
        });
    }

    pub fn get(&self, queue: &str) -> Option<(BasicProperties, Vec<u8>)> {
        let options = BasicGetOptions { no_ack: true };
        let got = self.runtime.block_on(self.channel.basic_get(queue.into(), options)).expect("asked");
        got.map(|message| (message.delivery.properties, message.delivery.data))
    }

    /// Messages that wait in a queue; `None` if there is none.
    pub fn count(&self, queue: &str) -> Option<u32> {
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        self.runtime.block_on(async {
            let channel = self.connection.create_channel().await.expect("a channel");
            let declared = channel.queue_declare(queue.into(), options, FieldTable::default()).await;
            declared.ok().map(|queue| queue.message_count())
        })
    }

    pub fn delete(&self, queue: &str) {
        let deleted = self.channel.queue_delete(queue.into(), QueueDeleteOptions::default());
        self.runtime.block_on(deleted).expect("deleted");
    }
}
