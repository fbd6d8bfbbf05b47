//! Upkeep for quiet times: once no work was finished for a second, write-ahead logs are folded into their files, so
//! that a drained Vigie leaves no disk behind. Running it twice is harmless.

use std::sync::Arc;
use std::time::Duration;
use stdx::Shutdown;
use stdx::component::ComponentError;
use store::Stores;

/// How often the count of finished jobs is looked at; two equal looks in a row are "quiet".
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Watches `finished` (jobs finished so far) and folds the logs once each time it stands still.
///
/// # Errors
/// None: a failed checkpoint is logged and tried at the next quiet time.
pub async fn fold_when_quiet(
    stores: Arc<Stores>,
    finished: impl Fn() -> u64 + Send + 'static,
    shutdown: Shutdown,
) -> Result<(), ComponentError> {
    let (mut seen, mut folded) = (finished(), None);
    loop {
        tokio::select! {
            () = shutdown.triggered() => return Ok(()),
            () = tokio::time::sleep(LOOK_EVERY) => {}
        }
        let now = finished();
        let is_quiet = now == seen;
        seen = now;
        if is_quiet && folded != Some(now) {
            fold(stores.clone()).await;
            folded = Some(now);
        }
    }
}

async fn fold(stores: Arc<Stores>) {
    let folding = move || {
        let folded = stores.checkpoint_truncate();
        return_freed_memory();
        folded
    };
    match tokio::task::spawn_blocking(folding).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error, "write-ahead logs not folded"),
        Err(panic) => tracing::error!(error = %panic, "checkpoint panicked"),
    }
}

/// Large enough to be an allocator's own business with the operating system, never touched, so it costs nothing.
const NUDGE_BYTES: usize = 64 << 20;

/// The allocator gives freed memory back only when it is asked for more: after a rush, or the first password's hash,
/// nobody asks, and tens of megabytes would stay.
fn return_freed_memory() {
    for _ in 0..2 {
        drop(std::hint::black_box(Vec::<u8>::with_capacity(NUDGE_BYTES)));
    }
}
