//! Languages: packages, runtimes and frameworks that are not the application.

use super::{Facts, each, whole};

/// Packages of Python and JavaScript, and code from public delivery networks.
pub const PACKAGES: &[Facts] = &[
    each("path", &["**/vendor/**", "**/site-packages/**", "**/dist-packages/**", "**/node_modules/**"], "-app"),
    each("module", &["unpkg/**"], "-app"),
    each(
        "path",
        &[
            "**https://unpkg.com/**",
            "**https://cdnjs.cloudflare.com/**",
            "**https://cdn.jsdelivr.net/**",
            "**https://esm.run/**",
        ],
        "-app",
    ),
    each("family:javascript function", &["reportError"], "^-app -app"),
    each("module", &["@babel/**", "core-js/**", "regenerator-runtime/**", "tslib/**"], "-app -group"),
];

/// What transpilers call on the way to a parent class.
pub const JS_HELPERS: &[Facts] = &[each("family:javascript function", &["_callSuper"], "-app -group")];

/// The turn of Node's event loop; Go's module cache.
pub const NODE_AND_GO: &[Facts] = &[
    each(
        "function",
        &["runMicrotasks", "queueMicrotask", "processTicksAndRejections", "runNextTicks", "nextTick"],
        "-app -group",
    ),
    each("path", &["**/go/pkg/mod/**"], "-app"),
];

/// Frameworks of the JVM as the 2023 list has them.
pub const JVM_2023: &[Facts] = &[
    each(
        "module",
        &[
            "jdk.*",
            "sun.*",
            "com.sun.*",
            "java.*",
            "scala.*",
            "akka.*",
            "javax.*",
            "org.apache.*",
            "org.springframework.*",
            "org.glassfish.*",
            "org.jboss.*",
            "feign.*",
            "io.opentelemetry.*",
        ],
        "-app",
    ),
    each("module", &["io.sentry.*"], "-app -group"),
];

/// Frameworks of the JVM.
pub const JVM_FRAMEWORKS: &[Facts] = &[
    each(
        "module",
        &["akka.*", "com.fasterxml.*", "com.microsoft.*", "com.sun.*", "feign.*", "io.opentelemetry.*"],
        "category=framework",
    ),
    each("module", &["io.sentry.*"], "category=framework -group"),
    each(
        "module",
        &[
            "jdk.*",
            "oauth.*",
            "org.apache.*",
            "org.glassfish.*",
            "org.jboss.*",
            "org.jdesktop.*",
            "org.postgresql.*",
            "org.springframework.*",
            "org.web3j.*",
            "reactor.core.*",
            "scala.*",
            "sun.*",
        ],
        "category=framework",
    ),
];

/// Frameworks are not the application.
pub const FRAMEWORKS: &[Facts] = &[whole("category:framework", "-app")];

/// Kotlin, and trackers of other makers.
pub const KOTLIN_AND_TRACKERS: &[Facts] = &[
    each("module", &["kotlin.*", "kotlinx.*", "io.ktor.*", "io.netty.*"], "-app"),
    each("module", &["newrelic"], "-app -group"),
    each("path", &["**/*newrelic*/**", "**/*LogRocket*/**"], "-app -group"),
];
