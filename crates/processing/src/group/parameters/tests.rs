//! The tables of the grouping specification, §14.6 and §14.7: every case alone, with text before, after, and both.

use super::words::steps;
use super::{Version, replace, scan};
use proptest::prelude::*;

const VERSIONS: [Version; 3] = [Version::P2024, Version::P2026a, Version::P2026b];

fn check(version: Version, text: &str, expected: &str) {
    for (before, after) in [("", ""), ("prefix ", ""), ("", " suffix"), ("prefix ", " suffix")] {
        let whole = format!("{before}{text}{after}");
        assert_eq!(replace(&whole, version), format!("{before}{expected}{after}"), "{version:?} on {whole}");
    }
}

/// What 2026 has in common.
const CASES: &[(&str, &[&str])] = &[
    ("<email>", &["test@email.com"]),
    ("<url>", &["http://some.email.com"]),
    ("tcp://user:<email>:<int>", &["tcp://user:pass@email.com:10"]),
    ("<hostname>", &["example.com", "www.example.net"]),
    ("<ip>", &["0.0.0.0"]),
    ("<ip>:<int>", &["0.0.0.0:80"]),
    ("traceparent: <traceparent>", &["traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"]),
    ("<traceparent>", &["1-67891233-abcdef012345678912345678"]),
    ("<uuid>", &["7c1811ed-e98f-4c9c-a9f9-58c757ff494f"]),
    ("<uuid>/<uuid>", &["7c1811ed-e98f-4c9c-a9f9-58c757ff494f/7c1811ed-e98f-4c9c-a9f9-58c757ff494f"]),
    ("<sha1>", &["5fc35719b9cf96ec602dbc748ff31c587a46961d"]),
    ("<md5>", &["0751007cd28df267e8e051b51f918c60"]),
    (
        "<date>",
        &[
            "Mon, 02 Jan 06 15:04 MST",
            "Mon, 02 Jan 06 15:04 -0700",
            "Mon, 02-Jan-06 15:04:05 MST",
            "Monday, 02-Jan-06 15:04:05 MST",
            "Mon, 02 Jan 2006 15:04:05 MST",
            "Mon, 02 Jan 2006 15:04:05 -0700",
            "Mon Jan 02 2006 14:04:05 GMT-0800 (Pacific Standard Time)",
            "Mon Jan 02 2006 14:04:05 GMT+0000 (UTC)",
            "Mon Jan 02 2006 14:04:05 GMT+0800 (Singapore Standard Time)",
            "Mon Jan 02 2006 14:04:05 GMT-0800",
            "Mon Jan 02 2006 14:04:05 GMT+0000",
            "2024-02-20T22:16:36",
            "2006-01-02T15:04:05Z07:00",
            "2006-01-02T15:04:05Z",
            "2006-01-02T15:04:05.999999999Z07:00",
            "2006-01-02T15:04:05.999999999Z",
            "2006-01-02",
            "2006-01-02 15:04:05",
            "2006-01-02 15:04:05Z",
            "2006-01-02 15:04:05+01:00",
            "2006-01-02T15:04:05",
            "2006-01-02T15:04:05+01:00",
            "20060102 150405",
            "20060102 150405Z",
            "20060102 150405+0100",
            "20060102T150405",
            "20060102T150405Z",
            "20060102T150405+0100",
            "Jan 18, 2019",
            "Mon Jan 02, 1999",
            "11:21PM",
            "12:31 PM",
            "11:21pm",
            "12:31 pm",
            "23:21",
            "15:04:05",
            "20240220 11:55:33.546593",
            "2024-02-23 02:13:53.418",
            "datetime.datetime(2025, 6, 24, 18, 33, 0, 447640)",
        ],
    ),
    ("<duration>", &["0ms", "1ms", "10ms", "1000000ms", "0s", "0.100s", "1.234s", "10s", "100.0000s"]),
    ("<swift_txn_id>", &["tx274a77a8975c4a66aeb24-0052d95365", "tx274a77a8975c4a66aeb24-0052d95365-cluster01"]),
    ("<hex>-<hex>", &["ab274a77a8975c4a66aeb24-0052d95365"]),
    (
        "<hex>",
        &[
            "0x9af8",
            "0x9AF8",
            "0x9af8c3be",
            "0x9AF8C3BE",
            "0x9af8c3be3a",
            "0x9AF8C3BE3A1231FE1121ACB1",
            "0xdeadbeef",
            "0xDEADBEEF",
            "9af8c3be",
            "9AF8C3BE",
            "9af8c3be3a",
            "9AF8C3BE3A",
            "9af8c3be3a1231fe",
            "9AF8C3BE3A1231FE",
            "9af8c3be3a1231fe1121acb1",
            "9AF8C3BE3A1231FE1121ACB1",
            "12345678",
        ],
    ),
    ("<int>", &["23", "1234567"]),
    ("commit <git_sha>", &["commit a93c7d2"]),
    ("commit <int>", &["commit 4150908"]),
    ("<int>:<int>", &["0:17502"]),
    ("{\"msg\" => \"(#<int>)", &["{\"msg\" => \"(#239323)"]),
    ("<float>", &["0.23"]),
    ("b = '<int>'", &["b = '1'"]),
    ("b = \"<int>\"", &["b = \"1\""]),
    ("b=<quoted_str>", &["b='1'", "b=\"1\"", "b=\"0.0.0.0 1 a=True\""]),
    ("a=<bool>", &["a=false", "a=False", "a=true", "a=True"]),
];

const UNCHANGED: &[&str] =
    &["Option::unwrap()", "Bee::buzz()", "b='value\"", "b=\"value'", "False", "true", "a = False", "A quick brown fox"];

/// What changed in late March 2026: before, and after.
const CHANGED: &[(&str, &str, &str)] = &[
    ("abc1-67891233-abcdef012345678912345678", "abc1<int>-<hex>", "<hex>-<hex>-<hex>"),
    ("9af8", "9af8", "<hex>"),
    ("9AF8", "9AF8", "<hex>"),
    ("deadbeef", "deadbeef", "<hex>"),
    ("DEADBEEF", "DEADBEEF", "<hex>"),
    ("deadbeef 123", "deadbeef <int>", "<hex> <int>"),
    ("DEADBEEF 123", "DEADBEEF <int>", "<hex> <int>"),
    ("commit deadbeef", "commit deadbeef", "commit <hex>"),
    ("2006-01-40", "<int><int><int>", "<int>-<int>-<int>"),
    ("2006-20-02", "<int><int><int>", "<int>-<int>-<int>"),
    ("10000-01-02", "<int><int><int>", "<int>-<int>-<int>"),
    ("2006-01", "<int><int>", "<int>-<int>"),
];

#[test]
fn the_tables_of_2026_hold() {
    for version in [Version::P2026a, Version::P2026b] {
        for (expected, texts) in CASES {
            texts.iter().for_each(|text| check(version, text, expected));
        }
        UNCHANGED.iter().for_each(|text| check(version, text, text));
        for letters in ["b0", "B0"] {
            check(version, &letters.repeat(64), "<hex>");
        }
    }
    for (text, early, late) in CHANGED {
        check(Version::P2026a, text, early);
        check(Version::P2026b, text, late);
    }
}

#[test]
fn the_patterns_of_2024_are_fewer_and_looser() {
    let check = |text, expected| check(Version::P2024, text, expected);
    check("test@email.com", "<email>");
    check("0x9af8", "<hex>");
    check("9af8c3be", "9af8c3be");
    check("12345678", "<int>");
    check("99:99", "<date>");
    check("2006-01-02T15:04Z", "<date>T<date>Z");
    check("20060102 15:04:05.1", "<date>");
    check("commit a93c7d2", "commit a93c7d2");
    check("1::8", "<ip><int>");
    check("took 12ms", "took <duration>");
}

#[test]
fn digits_and_blanks_of_other_scripts_count() {
    assert_eq!(replace("a ٣٤ b", Version::P2026b), "a <int> b");
    assert_eq!(replace("é1 … 2", Version::P2026b), "é1 … <int>");
    assert_eq!(replace("½ 1½", Version::P2026b), "½ 1½");
}

/// Texts in which a kind can be looked for from every place, up to the end each time.
const HOSTILE: &[&str] = &[
    "a",
    "f",
    "F",
    "1",
    "0",
    "-",
    "-1",
    "_",
    ".",
    ":",
    "/",
    "@",
    "=",
    "'",
    "\"",
    "(",
    " ",
    "\n",
    "é",
    "٣",
    "٣.",
    "1.",
    "1.1",
    "a.",
    "a-",
    "-a",
    "a@",
    "a@b.",
    "=\"",
    "='\"",
    "=\"'",
    "=''",
    "::",
    "1:",
    "f:",
    "1::",
    "0x",
    "0xf",
    "x1",
    "11 ",
    "1  ",
    "ms",
    "1m",
    "1s",
    "11.11.",
    "00-",
    "1-",
    "tx",
    "tx1",
    "fe80:",
    "fe80::%",
    "ffff:",
    "1.2.3.",
    "256.",
    "ws://",
    "http://",
    "http://a",
    "w",
    "a.b.c",
    "a.com",
    "Mon, ",
    "Mon ",
    "Jan ",
    "1 Jan ",
    "Monday, 02-Jan-",
    "2024",
    "2024-01-01T",
    "1:11",
    "2024-01-01T00:00:00.",
    "datetime",
    "datetime.datetime(",
    "datetime.datetime(\n",
    "True",
    "=True",
    "a=",
    "Mon Jan 02 2006 14:04:05 GMT-0800 (",
    "Mon Jan 02 2006 14:04:05 GMT-0800 ()",
    "-f",
    "deadbeef-",
    "@.",
    "\u{300}",
    "½",
];

/// Tails that make what went before be in vain.
const TAILS: &[&str] = &[
    "",
    ".",
    ")",
    "\n)",
    "é",
    "_",
    "٣",
    "@",
    "a-very-long-label-of-more-than-sixty-three-characters-in-one-single-row.x",
];

#[test]
fn the_work_grows_with_the_text_and_not_with_its_square() {
    const STEPS_PER_BYTE_MAX: usize = 250;
    // Short, for the bounds are of steps: an unoptimised build is through in seconds.
    const CHARS: usize = 800;
    for part in HOSTILE {
        for tail in TAILS {
            for version in VERSIONS {
                let steps = |chars: usize| {
                    let text = part.repeat((chars - tail.len()) / part.chars().count()) + tail;
                    (text.len(), steps::of(|| drop(replace(&text, version))))
                };
                let ((_, half), (bytes, whole)) = (steps(CHARS / 2), steps(CHARS));
                let what = format!("{part:?} and {tail:?}, {version:?}: {half} and {whole} steps for {bytes} bytes");
                assert!(whole <= STEPS_PER_BYTE_MAX * bytes, "{what}");
                assert!(whole <= half * 9 / 4 + 1_000, "{what}");
            }
        }
    }
}

proptest! {
    #[test]
    fn what_is_remembered_changes_nothing(
        parts in proptest::collection::vec((prop::sample::select(HOSTILE), 1..5_usize), 0..12),
        tail in prop::sample::select(TAILS),
        filling in 0..70_usize,
    ) {
        let mut text: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
        text += &"a".repeat(filling);
        text += tail;
        for version in VERSIONS {
            prop_assert_eq!(scan::replace(&text, version), scan::replace_forgetfully(&text, version), "{:?}", text);
        }
    }
}
