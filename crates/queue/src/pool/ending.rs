//! How a child ended, in words for a dead letter, and how much memory a living one has.

use crate::DeadReason;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;

/// Why a run died with its child.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Death {
    pub reason: DeadReason,
    pub error: String,
}

impl Death {
    pub fn crashed(how: &str) -> Death {
        Death { reason: DeadReason::Crashed, error: format!("crashed: {how}") }
    }

    pub fn gone() -> Death {
        Death::crashed("it is gone")
    }

    pub fn memory(resident: u64, allowed: u64) -> Death {
        let mib = |bytes: u64| bytes >> 20;
        let error = format!("memory limit: {} MiB resident, {} MiB allowed", mib(resident), mib(allowed));
        Death { reason: DeadReason::MemoryLimit, error }
    }

    /// `last_resident` is what was seen of its memory last: a child that could get no more of it aborts, and one that took
    /// all of the machine's is killed by the kernel.
    pub fn of(status: ExitStatus, last_resident: u64, memory_max: Option<u64>) -> Death {
        match memory_max {
            Some(allowed) if last_resident > allowed && is_starved(status) => Death::memory(last_resident, allowed),
            Some(_) | None => Death::crashed(&words(status)),
        }
    }
}

const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

fn is_starved(status: ExitStatus) -> bool {
    matches!(status.signal(), Some(SIGABRT | SIGKILL))
}

/// Signals that end a process, by their numbers on Linux.
const SIGNALS: &[(i32, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (SIGABRT, "SIGABRT"),
    (7, "SIGBUS"),
    (8, "SIGFPE"),
    (SIGKILL, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (15, "SIGTERM"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (31, "SIGSYS"),
];

fn words(status: ExitStatus) -> String {
    match (status.signal(), status.code()) {
        (Some(number), _) => match SIGNALS.iter().find(|(known, _)| *known == number) {
            Some((_, name)) => format!("signal {number} {name}"),
            None => format!("signal {number}"),
        },
        (None, Some(code)) => format!("exit code {code}"),
        (None, None) => "it is gone".to_owned(),
    }
}

/// Returns a process's resident bytes, or `None` if it is gone or `/proc` is missing.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    pages(pid, 1)
}

/// Returns a process's bytes of address space.
pub fn virtual_bytes(pid: u32) -> Option<u64> {
    pages(pid, 0)
}

/// A field of `statm` (proc(5)): 0 is the address space, 1 what is resident.
fn pages(pid: u32, field: usize) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let count: u64 = text.split_ascii_whitespace().nth(field)?.parse().ok()?;
    Some(count * rustix::param::page_size() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_is_told_by_its_signal_its_code_or_the_memory_it_had() {
        let check = |raw: i32, resident: u64, expected: &str| {
            let death = Death::of(ExitStatus::from_raw(raw), resident, Some(100 << 20));
            assert_eq!(death.error, expected);
        };
        check(11, 0, "crashed: signal 11 SIGSEGV");
        check(11, 200 << 20, "crashed: signal 11 SIGSEGV");
        check(6, 0, "crashed: signal 6 SIGABRT");
        check(6, 120 << 20, "memory limit: 120 MiB resident, 100 MiB allowed");
        check(9, 120 << 20, "memory limit: 120 MiB resident, 100 MiB allowed");
        check(3 << 8, 120 << 20, "crashed: exit code 3");
        check(40, 0, "crashed: signal 40");
    }

    #[test]
    fn a_living_process_has_memory() {
        let own = std::process::id();
        assert!(resident_bytes(own) > Some(1 << 20) && virtual_bytes(own) > resident_bytes(own));
    }
}
