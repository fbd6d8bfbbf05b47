//! What the machine says: free disk space, this process's memory; and the one thing we tell it. The only place that asks.

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

/// mimalloc's number for `purge_delay` (`mi_option_e` in its `mimalloc.h`, the same in its versions 2 and 3).
const PURGE_DELAY: libmimalloc_sys::mi_option_t = 15;
const PURGE_DELAY_MS: std::ffi::c_long = 10;

/// Tells the allocator to give freed memory back soon. Its default of a second is never over in a process that has
/// nothing to do: the 19 MiB of one password's hash would stay for good.
#[allow(unsafe_code, reason = "the option has no safe binding")]
pub fn give_freed_memory_back_soon() {
    // SAFETY: the call takes two numbers and stores one in a global of the allocator; it may be made at any time.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, PURGE_DELAY_MS) };
}

/// Takes as many open files as the process may have: a backup holds a few for each day of events, and the usual limit is
/// from a time of programs that break beyond it.
pub fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    // Where it is refused, whoever needs more says so.
    let _ = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum });
}

/// Returns the machine's name.
pub fn name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
