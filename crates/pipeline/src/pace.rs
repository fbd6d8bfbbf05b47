//! Digest yields to accept: worker threads run at the lowest priority, so that an SDK never waits for a digest. The
//! queue grows instead, and drains when the rush is over.

/// Niceness of worker threads; accept runs at 0. With 15 a busy accept path leaves digest a few percent of a core, which
/// keeps progress visible.
const WORKER_NICENESS: i32 = 15;

/// Lowers the calling thread's priority. On Linux niceness belongs to the thread, not the process.
pub fn lower_thread_priority() {
    if let Err(error) = rustix::process::setpriority_process(None, WORKER_NICENESS) {
        tracing::warn!(error = %error, "worker thread keeps its priority");
    }
}
