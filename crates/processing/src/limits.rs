//! How long each field may be, in characters, and how many entries lists may have. The lengths are those Sentry's
//! normaliser uses (`spec`: field limits of the ingest protocol); users compare titles and tags, so they must agree.

pub const MESSAGE_CHARS_MAX: usize = 8_192;
pub const EXCEPTION_VALUE_CHARS_MAX: usize = 8_192;
pub const EXCEPTION_TYPE_CHARS_MAX: usize = 256;
pub const MECHANISM_TYPE_CHARS_MAX: usize = 128;
pub const FUNCTION_CHARS_MAX: usize = 512;
pub const CULPRIT_CHARS_MAX: usize = 200;
pub const TRANSACTION_CHARS_MAX: usize = 200;
pub const LOGGER_CHARS_MAX: usize = 64;
pub const ENVIRONMENT_CHARS_MAX: usize = 64;
pub const RELEASE_CHARS_MAX: usize = 200;
pub const DIST_CHARS_MAX: usize = 64;
pub const CHECKSUM_CHARS_MAX: usize = 128;
pub const USER_CHARS_MAX: usize = 128;
pub const USER_EMAIL_CHARS_MAX: usize = 75;
pub const URL_CHARS_MAX: usize = 256;
pub const URL_FRAGMENT_CHARS_MAX: usize = 1_024;
pub const BREADCRUMB_MESSAGE_CHARS_MAX: usize = 8_192;
pub const BREADCRUMB_CATEGORY_CHARS_MAX: usize = 128;
pub const TAG_CHARS_MAX: usize = 200;
pub const SDK_CHARS_MAX: usize = 256;
pub const THREAD_NAME_CHARS_MAX: usize = 1_024;

/// Characters of free-form data, keys and one for each value included.
pub const EXTRA_VALUE_CHARS_MAX: usize = 16_384;
pub const EXTRA_CHARS_MAX: usize = 262_144;
pub const CONTEXT_CHARS_MAX: usize = 8_192;
pub const MODULES_CHARS_MAX: usize = 8_192;
pub const BREADCRUMB_DATA_CHARS_MAX: usize = 2_048;
pub const MECHANISM_DATA_CHARS_MAX: usize = 2_048;
pub const PARAMS_CHARS_MAX: usize = 2_048;
pub const REQUEST_DATA_CHARS_MAX: usize = 8_192;
pub const REQUEST_ENV_CHARS_MAX: usize = 8_192;
pub const REQUEST_HEADERS_CHARS_MAX: usize = 8_192;
pub const REQUEST_COOKIES_CHARS_MAX: usize = 2_048;
pub const REQUEST_QUERY_CHARS_MAX: usize = 1_024;
/// Lists and objects within each other; deeper ones are kept as text.
pub const DATA_DEPTH_MAX: usize = 7;

/// Entries of a fingerprint. Sentry sets no number; people write a few, and each is looked up and hashed.
pub const FINGERPRINT_ENTRIES_MAX: usize = 100;
/// Tags an event keeps. Sentry sets no number; people set tens, and each costs a row to count.
pub const TAGS_MAX: usize = 200;
/// Searchable tags made of one event, its own included.
pub const DERIVED_TAGS_MAX: usize = 250;
/// Frames of one stack: the oldest and the newest are kept, what lies between is recursion
/// (docs/decisions/0073-frames-of-endless-stacks.md).
pub const FRAMES_OLDEST_KEPT: usize = 50;
pub const FRAMES_NEWEST_KEPT: usize = 200;
/// Frames of one stack that keep their variables and the lines around theirs.
pub const FRAMES_DETAILED_MAX: usize = 50;

pub const METADATA_VALUE_CHARS_MAX: usize = 1_024;
pub const METADATA_TYPE_CHARS_MAX: usize = 128;
/// The first line of a value or message in a title.
pub const TITLE_LINE_CHARS_MAX: usize = 100;
