//! How a connection is made: two to one server. RabbitMQ reads nothing more from one that publishes while an alarm of its
//! memory or disk is on, so what consumes, acknowledges and asks has one on which nothing is published.

use super::config::{Server, Tls};
use super::link::Fault;
use super::post::Post;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::tcp::{OwnedIdentity, OwnedTLSConfig};
use lapin::uri::{AMQPAuthority, AMQPQueryString, AMQPScheme, AMQPUri, AMQPUserInfo};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, Event, PublisherConfirm};
use std::collections::HashSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::watch;

/// Behind the prefix of our queues: a message of this key goes nowhere. A colon first: no queue has that name.
const NOWHERE: &str = ":nowhere";
/// How a client of AMQP 0-9-1 begins.
const GREETING: &[u8] = b"AMQP\0\0\x09\x01";

/// The connections to a server with the channels that all share.
pub(super) struct Open {
    pub epoch: u64,
    /// Nothing is published on it.
    pub connection: Connection,
    publisher: Connection,
    /// Of the publisher, with confirms.
    pub post: Post,
    /// For declarations; the server closes a channel to say that a queue is not there.
    asking: Mutex<Option<Channel>>,
    /// Of the publisher, for what nobody confirms.
    telling: Mutex<Option<Channel>>,
    pub declared: Mutex<HashSet<Arc<str>>>,
    pub is_broken: AtomicBool,
    alarm: watch::Receiver<Option<String>>,
}

impl Open {
    pub fn is_usable(&self) -> bool {
        let is_there = |connection: &Connection| connection.status().connected();
        !self.is_broken.load(Ordering::SeqCst) && is_there(&self.connection) && is_there(&self.publisher)
    }

    pub fn place(&self, purpose: For) -> &Mutex<Option<Channel>> {
        match purpose {
            For::Asking => &self.asking,
            For::Telling => &self.telling,
        }
    }

    pub fn connection_for(&self, purpose: For) -> &Connection {
        match purpose {
            For::Asking => &self.connection,
            For::Telling => &self.publisher,
        }
    }

    /// Both at once: while an alarm is on the server does not hear the publisher, and must take back what the other holds.
    pub async fn close(&self) -> lapin::Result<()> {
        let (left, right) =
            tokio::join!(self.connection.close(200, "bye".into()), self.publisher.close(200, "bye".into()));
        left.and(right)
    }

    /// The server's reason while it takes no messages, for want of memory or disk. It tells those that publish.
    pub fn alarm(&self) -> Option<String> {
        self.alarm.borrow().clone()
    }
}

/// What a channel is for that is kept for the next who wants it.
#[derive(Clone, Copy)]
pub(super) enum For {
    Asking,
    Telling,
}

/// What a connection is made by.
pub(super) struct Making {
    pub epoch: u64,
    pub uri: AMQPUri,
    pub tls: OwnedTLSConfig,
    /// Of our queues.
    pub prefix: String,
    pub handle: Handle,
}

impl Making {
    pub async fn make(self) -> Result<Open, Fault> {
        let name = format!("vigie {}", std::process::id());
        let connection = connect(&self.uri, &self.tls, &name).await?;
        let publisher = connect(&self.uri, &self.tls, &format!("{name} publishes")).await?;
        let mut alarm = watch_alarm(&publisher);
        let publishing = publisher.create_channel().await?;
        publishing.confirm_select(ConfirmSelectOptions::default()).await?;
        // An alarm is told to those who publish.
        let confirmed = say_nothing(&publishing, &self.prefix).await?;
        tokio::select! {
            // It would be confirmed after the alarm; nobody waits for that.
            _ = alarm.wait_for(Option::is_some) => {}
            said = confirmed => drop(said?),
        }
        Ok(Open {
            epoch: self.epoch,
            connection,
            publisher,
            post: Post::on(publishing, &self.handle),
            asking: Mutex::default(),
            telling: Mutex::default(),
            declared: Mutex::default(),
            is_broken: AtomicBool::new(false),
            alarm,
        })
    }
}

/// Whether anybody is there at all, who may be of another opinion about what is spoken. A client keeps its thread and socket
/// for a server that listens and says nothing, however long ago it was given up; so it begins with one only once.
pub(super) async fn answers(host: String, port: u16) -> Result<(), Fault> {
    let fault = |error: std::io::Error| Fault::Client(error.into());
    let mut stream = TcpStream::connect((host, port)).await.map_err(fault)?;
    stream.write_all(GREETING).await.map_err(fault)?;
    // The end is an answer too.
    let _ = stream.read(&mut [0]).await;
    Ok(())
}

async fn connect(uri: &AMQPUri, tls: &OwnedTLSConfig, name: &str) -> lapin::Result<Connection> {
    let properties = ConnectionProperties::default().with_connection_name(name.into());
    // The one that this runs on: ours.
    let runtime = lapin::runtime::default_runtime()?;
    Connection::connect_uri_with_config(uri.clone(), properties, tls.clone(), runtime).await
}

/// Sends an empty message that the server drops.
pub(super) async fn say_nothing(channel: &Channel, prefix: &str) -> lapin::Result<PublisherConfirm> {
    let key = format!("{prefix}{NOWHERE}");
    let options = BasicPublishOptions::default();
    channel.basic_publish("".into(), key.as_str().into(), options, &[], BasicProperties::default()).await
}

/// Follows what the server says of its memory and disk, as long as the connection lives.
fn watch_alarm(publisher: &Connection) -> watch::Receiver<Option<String>> {
    use futures_core::Stream;
    let (sender, receiver) = watch::channel(None);
    let events = publisher.events_listener();
    tokio::spawn(async move {
        let mut events = pin!(events);
        while let Some(event) = std::future::poll_fn(|cx| events.as_mut().poll_next(cx)).await {
            match event {
                Event::ConnectionBlocked(reason) => {
                    tracing::warn!(reason, "the broker takes no more messages");
                    sender.send_replace(Some(reason));
                }
                Event::ConnectionUnblocked => {
                    tracing::info!("the broker takes messages again");
                    sender.send_replace(None);
                }
                _ => {}
            }
        }
    });
    receiver
}

pub(super) fn uri_of(server: &Server, virtual_host: &str, heartbeat: Duration, within: Duration) -> AMQPUri {
    AMQPUri {
        scheme: if server.tls.is_some() { AMQPScheme::AMQPS } else { AMQPScheme::AMQP },
        authority: AMQPAuthority {
            userinfo: AMQPUserInfo { username: server.user.clone(), password: server.password.clone() },
            host: server.host.clone(),
            port: server.port,
        },
        vhost: virtual_host.to_owned(),
        query: AMQPQueryString {
            heartbeat: u16::try_from(heartbeat.as_secs()).ok(),
            connection_timeout: u64::try_from(within.as_millis()).ok(),
            ..AMQPQueryString::default()
        },
    }
}

pub(super) fn tls_of(tls: &Tls) -> Result<OwnedTLSConfig, Fault> {
    let read = |path: &std::path::Path| {
        let why =
            |error: std::io::Error| std::io::Error::new(error.kind(), format!("read {}: {error}", path.display()));
        std::fs::read(path).map_err(|error| Fault::Client(why(error).into()))
    };
    let authorities = tls.authorities.as_deref().map(read).transpose()?;
    let identity = match &tls.certificate {
        Some((certificate, key)) => Some(OwnedIdentity::PKCS8 { pem: read(certificate)?, key: read(key)? }),
        None => None,
    };
    Ok(OwnedTLSConfig { identity, cert_chain: authorities.map(|text| String::from_utf8_lossy(&text).into_owned()) })
}
