//! Names of signals and of Apple's exceptions, filled in from their numbers for the system the event comes from.

use super::Context;
use protocol::event::Event;
use protocol::json::{Number, Object, Value};

/// Signals whose numbers all systems share.
const SIGNALS: &[(i64, &str)] = &[
    (1, "SIGHUP"),
    (2, "SIGINT"),
    (3, "SIGQUIT"),
    (4, "SIGILL"),
    (5, "SIGTRAP"),
    (6, "SIGABRT"),
    (8, "SIGFPE"),
    (9, "SIGKILL"),
    (11, "SIGSEGV"),
    (13, "SIGPIPE"),
    (14, "SIGALRM"),
    (15, "SIGTERM"),
];
const SIGNALS_LINUX: &[(i64, &str)] = &[
    (7, "SIGBUS"),
    (10, "SIGUSR1"),
    (12, "SIGUSR2"),
    (16, "SIGSTKFLT"),
    (17, "SIGCHLD"),
    (18, "SIGCONT"),
    (19, "SIGSTOP"),
    (24, "SIGXCPU"),
    (25, "SIGXFSZ"),
    (31, "SIGSYS"),
];
const SIGNALS_APPLE: &[(i64, &str)] = &[
    (7, "SIGEMT"),
    (10, "SIGBUS"),
    (12, "SIGSYS"),
    (17, "SIGSTOP"),
    (19, "SIGCONT"),
    (20, "SIGCHLD"),
    (30, "SIGUSR1"),
    (31, "SIGUSR2"),
];
const MACH_EXCEPTIONS: &[(i64, &str)] = &[
    (1, "EXC_BAD_ACCESS"),
    (2, "EXC_BAD_INSTRUCTION"),
    (3, "EXC_ARITHMETIC"),
    (4, "EXC_EMULATION"),
    (5, "EXC_SOFTWARE"),
    (6, "EXC_BREAKPOINT"),
    (7, "EXC_SYSCALL"),
    (8, "EXC_MACH_SYSCALL"),
    (9, "EXC_RPC_ALERT"),
    (10, "EXC_CRASH"),
    (11, "EXC_RESOURCE"),
    (12, "EXC_GUARD"),
    (13, "EXC_CORPSE_NOTIFY"),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum System {
    Linux,
    Apple,
    Other,
}

/// Fills in names that are missing.
pub(super) fn name_signals<'a>(event: &mut Event<'a>, _context: &Context<'_>) {
    let system = system_of(event);
    for exception in event.exceptions.iter_mut().flatten() {
        let Some(meta) = exception.mechanism.as_mut().and_then(|mechanism| mechanism.meta.as_mut()) else {
            continue;
        };
        for (key, value) in &mut meta.0 {
            let Value::Object(part) = value else { continue };
            match key.as_str() {
                "signal" => name(part, "number", |number| signal(number, system)),
                "mach_exception" => name(part, "exception", |number| named(MACH_EXCEPTIONS, number)),
                _ => {}
            }
        }
    }
}

fn system_of(event: &Event<'_>) -> System {
    let name = event.contexts.as_ref().and_then(|contexts| contexts.get("os")).and_then(|os| os.text("name"));
    match name.map(str::to_ascii_lowercase).as_deref() {
        Some("linux" | "android" | "ubuntu" | "debian" | "fedora") => System::Linux,
        Some("macos" | "mac os x" | "ios" | "ipados" | "tvos" | "watchos" | "visionos") => System::Apple,
        Some(_) | None => System::Other,
    }
}

fn name(part: &mut Object<'_>, number_key: &str, known: impl Fn(i64) -> Option<&'static str>) {
    if part.text("name").is_some() {
        return;
    }
    let number = match part.get(number_key) {
        Some(Value::Number(Number::Unsigned(number))) => i64::try_from(*number).ok(),
        Some(Value::Number(Number::Signed(number))) => Some(*number),
        Some(_) | None => None,
    };
    if let Some(found) = number.and_then(known) {
        part.set("name", Value::text(found));
    }
}

fn signal(number: i64, system: System) -> Option<&'static str> {
    let own: &[(i64, &str)] = match system {
        System::Linux => SIGNALS_LINUX,
        System::Apple => SIGNALS_APPLE,
        System::Other => return None,
    };
    named(SIGNALS, number).or_else(|| named(own, number))
}

fn named(names: &[(i64, &'static str)], number: i64) -> Option<&'static str> {
    names.iter().find(|(known, _)| *known == number).map(|(_, name)| *name)
}
