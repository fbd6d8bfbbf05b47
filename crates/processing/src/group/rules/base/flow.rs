//! How categories act on one another and on grouping.

use super::{Facts, each, whole};

/// Of calls within one kind only the outermost says something.
pub const NESTED: &[Facts] = &[
    whole("category:driver | [ category:driver ]", "category=internals"),
    whole("[ category:gl ] | category:gl", "category=internals"),
    whole("[ category:av ] | category:av", "category=internals"),
    whole("[ category:malloc ] | category:malloc", "category=internals"),
];

/// What throws is grouped by, what it calls is not.
pub const THROW_2023: &[Facts] = &[whole("category:throw", "^-group")];

/// The module a spawned Python process runs.
pub const SPAWNED_MODULE: &[Facts] = &[whole(r#"function:"<module>" | [ function:spawn_main ]"#, "category=internals")];

/// Calls within what throws.
pub const THROWN_WITHIN: &[Facts] = &[
    whole("[ function:_purecall ] | category:throw", "category=internals"),
    whole("[ category:throw ] | category:throw", "category=internals"),
];

/// What throws: neither it nor what it calls is grouped by.
pub const THROW: &[Facts] = &[whole("category:throw", "^-group -group ^-app -app"), whole("category:system", "-app")];

/// Nothing that leads to the base of a thread is grouped by.
pub const THREAD_BASE: &[Facts] = &[whole("category:threadbase", "-group v-group")];

/// What a handler calls reports the crash.
pub const HANDLER: &[Facts] = &[whole("category:handler", "^-group -group")];

/// Reporters.
pub const TELEMETRY_2023: &[Facts] = &[whole("category:telemetry", "-group")];

/// Reporters are not the application.
pub const TELEMETRY: &[Facts] = &[whole("category:telemetry", "-app -group")];

/// What only leads elsewhere.
pub const INDIRECTION: &[Facts] = &[whole("category:indirection", "-group")];

/// What compilers and libraries keep to themselves.
pub const INTERNALS_2023: &[Facts] = &[whole("category:internals", "-group")];

/// What compilers and libraries keep to themselves, and it is not the application.
pub const INTERNALS: &[Facts] = &[whole("category:internals", "-app -group")];

/// Bases of threads once more, after all other categories.
pub const THREAD_BASE_LAST: &[Facts] = &[whole("category:threadbase", "v-group -group")];

/// System code without a name, generated code, and system calls within system calls.
pub const NOISE: &[Facts] = &[
    whole("family:native category:system function:_* !function:_purecall", "category=internals"),
    whole(r#"family:native category:system function:"<unknown>""#, "category=internals"),
    each(
        "family:native function",
        &[
            "_INTERNAL*",
            "closure",
            "Collection.map<T>",
            "Array.subscript.getter",
            "Array._getElement",
            "_ArrayBuffer._nativeTypeChecked.getter",
            "range",
            "@callee_guaranteed",
        ],
        "category=internals",
    ),
    each("family:native function", &["*.cold.1"], "category=indirection"),
    whole("[ !category:system ] | category:system | [ !category:system ]", "category=indirection"),
    whole("[ category:free ] | category:system", "category=internals"),
    whole("[ category:system ] | category:system", "category=internals"),
    whole("[ category:std ] | category:system", "category=internals"),
    whole("[ category:std ] | category:std", "category=internals"),
    whole("[ category:ui ] | category:ui", "category=internals"),
    whole("[ category:ui ] | category:system", "category=internals"),
    whole("[ category:internals ] | category:system", "category=internals"),
    whole("[ category:internals ] | category:ui", "category=internals"),
    whole("[ category:load ] | category:system", "category=internals"),
    whole("[ category:load ] | category:load", "category=internals"),
    whole("[ category:throw ] | category:system", "category=internals"),
    whole("[ category:runtime ] | category:system", "category=internals"),
    whole("[ category:runtime ] | category:runtime", "category=internals"),
    whole("[ category:dtor ] | category:dtor", "category=internals"),
];
