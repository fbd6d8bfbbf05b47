//! Dart and Flutter.

use super::{Facts, each};

/// Dart compiled to JavaScript.
pub const COMPILED: &[Facts] = &[
    each("family:javascript path", &["org-dartlang-sdk:///**"], "-app -group"),
    each("family:javascript module", &["**/packages/flutter/**"], "-app"),
];

/// Applications on Android, and Dart sources.
pub const APPLICATION: &[Facts] =
    &[each("family:native package", &["/data/app/**"], "+app"), each("family:native path", &["**/*.dart"], "+app")];

/// Flutter and the Dart runtime.
pub const FRAMEWORK: &[Facts] = &[
    each(
        "family:native path",
        &[
            "**/packages/flutter/**",
            "lib/ui/hooks.dart",
            "lib/ui/platform_dispatcher.dart",
            "package:flutter/**",
            "dart:**",
            "dart:*/**",
            "third_party/dart/sdk/**",
        ],
        "-app",
    ),
    each(
        "family:native package",
        &["**/Frameworks/FlutterMacOS.framework/**", "**/Frameworks/Flutter.framework/**"],
        "-app",
    ),
    each("family:native function", &["stub InvokeDartCode", "stub CallBootstrapNative"], "-app"),
];

/// Packages of Sentry's own SDK.
pub const SENTRY_SDK: &[Facts] = &[each(
    "path",
    &[
        "package:sentry/**",
        "package:sentry_flutter/**",
        "package:sentry_logging/**",
        "package:sentry_dio/**",
        "package:sentry_file/**",
        "package:sentry_hive/**",
        "package:sentry_isar/**",
        "package:sentry_sqflite/**",
        "package:sentry_drift/**",
    ],
    "-app -group",
)];

/// More of them, and the package cache.
pub const SENTRY_SDK_LATER: &[Facts] = &[
    each(
        "path",
        &["package:sentry_isar/**", "package:sentry_link/**", "package:sentry_firebase_remote_config/**"],
        "-app",
    ),
    each("family:native path", &["**/.pub-cache/**"], "-app"),
];
