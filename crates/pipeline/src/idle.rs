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
    match tokio::task::spawn_blocking(move || stores.checkpoint_truncate()).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => tracing::warn!(error = %error, "write-ahead logs not folded"),
        Err(panic) => tracing::error!(error = %panic, "checkpoint panicked"),
    }
}
