//! Signals: the first SIGTERM or SIGINT stops warmly, a second one, or SIGQUIT, at once.

use stdx::Shutdown;
use tokio::signal::unix::{SignalKind, signal};

/// Exit code of a cold stop: what ran was not finished and runs again elsewhere.
const EXIT_COLD: i32 = 1;

pub fn watch(shutdown: Shutdown) -> std::io::Result<()> {
    let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let mut quit = signal(SignalKind::quit())?;
    tokio::spawn(async move {
        let is_cold = tokio::select! {
            _ = term.recv() => false,
            _ = interrupt.recv() => false,
            _ = quit.recv() => true,
        };
        if !is_cold {
            tracing::info!("stopping: what runs is finished, a second signal ends it at once");
            shutdown.trigger();
            tokio::select! {
                _ = term.recv() => {}
                _ = interrupt.recv() => {}
                _ = quit.recv() => {}
            }
        }
        tracing::warn!("ending at once; what ran runs again");
        std::process::exit(EXIT_COLD);
    });
    Ok(())
}
