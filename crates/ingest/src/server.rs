//! The accept loop: connections with a cap, a deadline for request headers and a graceful end. It decides nothing about
//! requests; a handler answers them.
//!
//! `axum::serve` is not used on purpose: it sets no timer, so hyper's header deadline is inert and a handful of slow
//! clients can hold every connection (docs/decisions/0004-own-accept-loop.md).

mod old_http;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use old_http::OldHttp;
use std::convert::Infallible;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use stdx::Shutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Any response body, from ingest or from the pages.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;
pub type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;
/// Answers one request of a peer.
pub type Handler = Arc<dyn Fn(Request<Incoming>, SocketAddr) -> Answer + Send + Sync>;

/// Connections open at once; further ones wait in the listen queue. Each costs about 20 KB.
pub const CONNECTIONS_MAX: usize = 4_096;
/// A request's head must be complete within this time: longer is a slow loris, or a client that is gone.
pub const HEADER_DEADLINE: Duration = Duration::from_secs(10);
/// Bytes of a request's head; hyper answers 431 beyond it.
const HEADER_BYTES_MAX: usize = 64 << 10;
const HEADERS_MAX: usize = 100;
/// Pause after an accept error such as "too many open files", so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves `listener` until the shutdown; then lets the requests that run finish (the caller sets the deadline).
///
/// # Errors
/// None while running; the signature is a component's.
pub async fn serve(listener: TcpListener, handler: Handler, shutdown: Shutdown) -> Result<(), BoxError> {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let place = tokio::select! {
            () = shutdown.triggered() => break,
            place = places.clone().acquire_owned() => place.expect("the semaphore is never closed"),
        };
        // A connection that loses this race stays in the kernel's queue and is refused when the listener closes.
        let accepted = tokio::select! {
            () = shutdown.triggered() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, peer)) => open(stream, peer, handler.clone(), shutdown.clone(), place),
            Err(error) => {
                tracing::warn!(error = %error, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    let all = u32::try_from(CONNECTIONS_MAX).expect("the cap is small");
    // Every place is free again once the last connection has ended.
    let _ = places.acquire_many(all).await;
    Ok(())
}

fn open(stream: TcpStream, peer: SocketAddr, handler: Handler, shutdown: Shutdown, place: OwnedSemaphorePermit) {
    // Small answers should leave at once; if the socket refuses the option they leave a little later.
    let _ = stream.set_nodelay(true);
    tokio::spawn(async move {
        let service = service_fn(move |request| {
            let answer = handler(request, peer);
            async move { Ok::<_, Infallible>(answer.await) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEADER_DEADLINE)
            .max_buf_size(HEADER_BYTES_MAX)
            .max_headers(HEADERS_MAX)
            .half_close(true)
            .serve_connection(TokioIo::new(OldHttp::new(stream)), service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = shutdown.triggered() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error = %error, "connection ended");
        }
        drop(place);
    });
}
