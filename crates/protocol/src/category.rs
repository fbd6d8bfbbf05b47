//! Data categories: what rate limits, quotas and outcomes count. Names and numbers are Sentry's and are stored and sent
//! as they stand here.

use std::fmt;
use std::str::FromStr;

macro_rules! categories {
    ($($variant:ident = $number:literal $name:literal,)*) => {
        /// What a quantity counts.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Category {
            $($variant,)*
        }

        impl Category {
            pub const ALL: &[Category] = &[$(Category::$variant,)*];

            /// Returns the name as it stands in `X-Sentry-Rate-Limits` and client reports.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Category::$variant => $name,)*
                }
            }

            /// Returns Sentry's number of the category.
            pub const fn number(self) -> i8 {
                match self {
                    $(Category::$variant => $number,)*
                }
            }
        }
    };
}

categories! {
    Default = 0 "default",
    Error = 1 "error",
    Transaction = 2 "transaction",
    Security = 3 "security",
    Attachment = 4 "attachment",
    Session = 5 "session",
    Profile = 6 "profile",
    Replay = 7 "replay",
    TransactionProcessed = 8 "transaction_processed",
    TransactionIndexed = 9 "transaction_indexed",
    Monitor = 10 "monitor",
    ProfileIndexed = 11 "profile_indexed",
    Span = 12 "span",
    MonitorSeat = 13 "monitor_seat",
    Feedback = 14 "feedback",
    MetricBucket = 15 "metric_bucket",
    SpanIndexed = 16 "span_indexed",
    ProfileDuration = 17 "profile_duration",
    ProfileChunk = 18 "profile_chunk",
    MetricSecond = 19 "metric_second",
    ReplayVideo = 20 "replay_video",
    Uptime = 21 "uptime",
    AttachmentItem = 22 "attachment_item",
    LogItem = 23 "log_item",
    LogByte = 24 "log_byte",
    ProfileDurationUi = 25 "profile_duration_ui",
    ProfileChunkUi = 26 "profile_chunk_ui",
    SeerAutofix = 27 "seer_autofix",
    SeerScanner = 28 "seer_scanner",
    PreventUser = 29 "prevent_user",
    PreventReview = 30 "prevent_review",
    SizeAnalysis = 31 "size_analysis",
    InstallableBuild = 32 "installable_build",
    TraceMetric = 33 "trace_metric",
    SeerUser = 34 "seer_user",
    ProfileBackend = 35 "profile_backend",
    ProfileUi = 36 "profile_ui",
    TraceMetricByte = 37 "trace_metric_byte",
    SnapshotImage = 38 "snapshot_image",
    Unknown = -1 "unknown",
}

impl Category {
    /// Returns the category that counts the same thing, so that `default` and `error` share one limit.
    pub const fn canonical(self) -> Self {
        match self {
            Category::Default => Category::Error,
            other => other,
        }
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Category {
    type Err = std::convert::Infallible;

    /// Reads a name; one that is not in the table is `Unknown`, since clients may be newer than we are.
    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Ok(Self::ALL.iter().copied().find(|category| category.name() == name).unwrap_or(Category::Unknown))
    }
}
