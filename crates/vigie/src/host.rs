//! What the machine says: free disk space, this process's memory. The only place that asks.

use std::path::Path;

/// Returns the bytes that an unprivileged process may still write on the file system of `path`.
///
/// # Errors
/// If the file system does not answer.
pub fn free_bytes(path: &Path) -> std::io::Result<u64> {
    let stats = rustix::fs::statvfs(path)?;
    Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
}

/// Returns this process's resident memory in bytes, or `None` where `/proc` is missing.
pub fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    let kib: u64 = line.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}
