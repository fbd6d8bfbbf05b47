//! Machine code: where programs and libraries lie, and the functions through which a crash is raised and reported.

use super::{Facts, each, whole};

/// Bundles of applications on Apple devices and simulators.
pub const APPLE_APPS: &[Facts] = &[each(
    "family:native package",
    &[
        "/var/containers/Bundle/Application/**",
        "/private/var/containers/Bundle/Application/**",
        "**/Developer/CoreSimulator/Devices/**",
        "**/Containers/Bundle/Application/**",
    ],
    "+app",
)];

/// Directories of libraries as the 2023 list has them.
pub const UNIX_PLACES_2023: &[Facts] = &[
    each("family:native package", &["/lib/**", "/usr/lib/**"], "-app"),
    each("family:native path", &["/usr/local/lib/**", "/usr/local/Cellar/**"], "-app"),
    each("family:native package", &["linux-gate.so*"], "-app"),
];

/// Directories of libraries, and of programs a user installed.
pub const UNIX_PLACES: &[Facts] = &[
    each("package", &["/lib/**", "/usr/lib/**"], "-app"),
    each("path", &["/usr/local/lib/**", "/usr/local/Cellar/**", "**/.local/share/**"], "-app"),
];

/// Pages the Linux kernel maps into every process.
pub const LINUX_KERNEL_PAGES: &[Facts] =
    &[each("family:native package", &["linux-gate.so*", "linux-vdso.so*"], "category=system")];

/// Applications and homes on a Mac.
pub const MAC_PLACES: &[Facts] = &[each("family:native package", &["**.app/Contents/**", "/Users/**"], "+app")];

/// The Rust standard library.
pub const RUST_LIBRARY: &[Facts] =
    &[each("family:native function", &["std::*", "core::*", "alloc::*", "__rust_*"], "-app")];

/// Where a Rust panic starts to unwind.
pub const RUST_UNWIND: &[Facts] = &[each("family:native function", &["rust_begin_unwind"], "-app")];

/// Where Rust panics and errors begin.
pub const RUST_BORDERS: &[Facts] = &[each(
    "family:native function",
    &[
        "std::panicking::begin_panic",
        "core::panicking::begin_panic",
        "failure::backtrace::Backtrace::new",
        "error_chain::make_backtrace",
    ],
    "^-group -group ^-app -app",
)];

/// Where Rust panics are formatted.
pub const RUST_PANIC_BORDERS: &[Facts] =
    &[each("family:native function", &["std::panicking::panic_fmt", "core::panicking::panic_fmt"], "^-app -app")];

/// Where C++ and Objective-C throw; crash reporters and their frameworks.
pub const BORDERS_AND_REPORTERS: &[Facts] = &[
    each(
        "family:native function",
        &["_CxxThrowException", "__cxa_throw", "__assert_rtn", "_NSRaiseError"],
        "^-group -group ^-app -app",
    ),
    each("family:native function", &["_mh_execute_header"], "-group -app"),
    each("family:native function", &["google_breakpad::*"], "-app -group"),
    each(
        "family:native function",
        &[
            "google_breakpad::ExceptionHandler::SignalHandler",
            "google_breakpad::ExceptionHandler::WriteMinidumpWithException",
        ],
        "^-group -group",
    ),
    each(
        "family:native package",
        &[
            "**/Frameworks/libswift*.dylib",
            "**/Frameworks/KSCrash.framework/**",
            "**/Frameworks/SentrySwift.framework/**",
            "**/Frameworks/Sentry.framework/**",
        ],
        "-app",
    ),
    each(
        "family:native function",
        &[
            "kscm_*",
            "sentrycrashcm_*",
            "kscrash_*",
            "*sentrycrash_*",
            "?[[]KSCrash*",
            "?[[]RNSentry*",
            "__*[[]Sentry*",
            "?[[]Sentry*",
        ],
        "-app -group",
    ),
];

/// Stacks that are snapshots of a thread.
pub const SNAPSHOTS: &[Facts] =
    &[whole("error.mechanism:ANR", "invert-stacktrace=1"), whole("error.mechanism:NSError", "invert-stacktrace=1")];
