//! Digest yields to accept: worker threads run at the lowest priority, so that an SDK never waits for a digest. The
//! queue grows instead, and drains when the rush is over.

use std::time::Duration;

/// A pause is never longer: a unit of work must end within its time.
const PAUSE_MAX: Duration = Duration::from_millis(250);

/// Leaves others their part of the time, after one has worked for so long: of a share of 0.5 as long again.
pub fn rest(share: f64, worked: Duration) {
    std::thread::sleep(worked.mul_f64(1.0 / share - 1.0).min(PAUSE_MAX));
}

/// Niceness of worker threads; accept runs at 0. With 15 a busy accept path leaves digest a few percent of a core, which
/// keeps progress visible.
const WORKER_NICENESS: i32 = 15;

/// Lowers the calling thread's priority. On Linux niceness belongs to the thread, not the process.
pub fn lower_thread_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, WORKER_NICENESS) {
        tracing::warn!(error = %error, "worker thread keeps its priority");
    }
}
