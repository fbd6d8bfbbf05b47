//! Unreal Engine: what logs and asserts on the way to a crash.

use super::{Facts, each, whole};

/// Borders between the game and what reports its failed checks.
pub const UNREAL: &[Facts] = &[
    each(
        "family:native function",
        &["UE::Logging::Private::BasicFatalLog", "FDebug::CheckVerifyFailedImpl*"],
        "v+app -app ^-app",
    ),
    whole("function:*::Impl::ExecCheckImplInternal | [ function:FDebug::CheckVerifyFailedImpl ]", "-app"),
    whole("function:FDebug::CheckVerifyFailedImpl2 | [ function:FDebug::CheckVerifyFailedImpl2V ]", "-app"),
    each("family:native function", &["FDebug::OptionallyLogFormattedEnsureMessageReturningFalse"], "v+app -app ^-app"),
    whole("category:indirection | [ function:FDebug::OptionallyLogFormattedEnsureMessageReturningFalse ]", "-app"),
    each(
        "family:native function",
        &[
            "DispatchCheckVerify*",
            "UE::Assert::Private::ExecCheckImplInternal*",
            "USentrySubsystem::CaptureMessage*",
            "USentrySubsystem::CaptureMessageWithScope*",
            "USentrySubsystem::CaptureEvent*",
            "USentrySubsystem::CaptureEventWithScope*",
            "USentrySubsystem::*execCapture*",
        ],
        "v+app -app ^-app",
    ),
];
