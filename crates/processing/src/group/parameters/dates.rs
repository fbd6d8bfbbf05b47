//! Dates and times in the forms programs write them.

use super::Version;
use super::pattern::Pattern;
use super::words::Text;
use crate::group::text::is_blank;
use std::sync::OnceLock;

/// The forms that can begin with a digit, and with a letter of a day or month, each in order.
#[derive(Debug)]
struct Forms {
    digit: Vec<Form>,
    name: Vec<Form>,
}

#[derive(Debug)]
struct Form {
    pattern: Pattern,
    /// Whether the zone's name in brackets may follow. That is code, for a pattern would look for the closing bracket
    /// up to the end of the text each time.
    may_have_zone_name: bool,
}

const SHORT_DAY: &str = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY: &str = "(Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)";
const MONTH: &str = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const ZONE: &str = "(UT|GMT|[ECMP][SD]T|[A-IK-Z])";
const YMD: &str = r"\d{4}-?[01]\d-?[0-3]\d[\sT]";

/// Ends a form after which the zone's name may follow.
const ZONE_NAME: &str = "(NAME)";

/// All versions begin with these. `DAY`, `LONG`, `MONTH`, `ZONE` and `YMD` stand for the texts above.
const HEAD: &[&str] = &[
    r"DAY,\s\d{1,2}\sMONTH\s\d{2,4}\s\d{1,2}:\d{1,2}(:\d{1,2})?\s([+\-]\d\d[0-5]\d|ZONE)",
    r"(DAY\s)?MONTH\s[0-3]\d,\s\d{2,4}",
];
const LONG_RFC_2024: &str = r"LONG,\s\d\d-MONTH-\d\d\s\d\d:\d\d:\d\d\sZONE";
const LONG_RFC_2026: &str = r"(LONG|DAY),\s\d\d-MONTH-\d\d\s\d\d:\d\d:\d\d\sZONE";
const ISO: &str = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z?([+\-]?\d\d:\d\d)?";
const MIDDLE_2024: &[&str] = &[
    r"\d{4}-?[01]\d-?[0-3]\d\s[0-2]\d:[0-5]\d:[0-5]\d(\.\d+)?",
    r"\d{1,2}:\d\d(:\d\d)?( [aApP][Mm])?",
    r"\d{4}-[01]\d-[0-3]\d",
    r"[0-2]\d:[0-5]\d:[0-5]\d",
    r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d\.\d+([+\-][0-2]\d:[0-5]\d|Z)",
    r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d:[0-5]\d([+\-][0-2]\d:[0-5]\d|Z)",
    r"\d{4}-[01]\d-[0-3]\dT[0-2]\d:[0-5]\d([+\-][0-2]\d:[0-5]\d|Z)",
];
const MIDDLE_2026: &[&str] = &[
    r"DAY\sMONTH\s\d\d\s\d{4}\s\d\d:\d\d:\d\d\sGMT[+\-]\d{4}(NAME)",
    r"YMD[0-2]\d:?[0-5]\d:?[0-5]\d\.\d+([+\-][0-2]\d:?[0-5]\d|Z)",
    r"YMD[0-2]\d:?[0-5]\d:?[0-5]\d([+\-][0-2]\d:?[0-5]\d|Z)",
    r"YMD[0-2]\d:?[0-5]\d([+\-][0-2]\d:?[0-5]\d|Z)",
    r"YMD[0-2]\d:?[0-5]\d:?[0-5]\d\.\d+",
    r"YMD[0-2]\d:?[0-5]\d:?[0-5]\d",
    r"YMD[0-2]\d:?[0-5]\d",
];
const CLOCK_2026A: &[&str] = &[r"[1-9]\d?:\d\d(:\d\d)?(\s?[aApP][Mm])?"];
const CLOCK_2026B: &[&str] = &[
    r"(?<!\d)(1[0-2]|[1-9]):[0-5]\d(:[0-5]\d)?(?![\d:])(\s?[aApP][Mm])?",
    r"(?<!\d)(2[0-3]|[01]?\d):[0-5]\d(:[0-5]\d)?(?![\d:])",
];
const END_2026: &[&str] = &[r"\d{4}-[01]\d-[0-3]\d", r"[0-2]\d:[0-5]\d:[0-5]\d"];
const TAIL: &[&str] = &[
    r"\b(DAY\s+)?MONTH\s+\d{1,2}\s+\d\d:\d\d:\d\d\s+\d{4}",
    r"\b(DAY,\s+)?(0[1-9]|[12]?\d|3[01])\s+MONTH\s+(19\d\d|[2-9]\d{3})\s+(2[0-3]|[01]\d):[0-5]\d(:(60|[0-5]\d))?\s+([+\-]\d\d[0-5]\d|ZONE)",
];

impl Forms {
    fn of(version: Version) -> Forms {
        let middle: [&[&str]; 5] = match version {
            Version::P2024 => [&[LONG_RFC_2024, ISO], MIDDLE_2024, &[], &[], TAIL],
            Version::P2026a => [&[LONG_RFC_2026, ISO], MIDDLE_2026, CLOCK_2026A, END_2026, TAIL],
            Version::P2026b => [&[LONG_RFC_2026, ISO], MIDDLE_2026, CLOCK_2026B, END_2026, TAIL],
        };
        let all: Vec<&str> = HEAD.iter().chain(middle.into_iter().flatten()).copied().collect();
        let with =
            |wanted: fn(&str) -> bool| all.iter().filter(|form| wanted(form)).map(|form| compiled(form)).collect();
        Forms {
            digit: with(begins_with_digit),
            name: with(|form| form.contains("DAY") || form.contains("LONG") || form.contains("MONTH")),
        }
    }
}

fn begins_with_digit(form: &str) -> bool {
    // The day of the month stands first where the day of the week is left out.
    let is_named = ["DAY", "LONG", "(LONG", "(DAY\\s", r"\b(DAY\s"].iter().any(|start| form.starts_with(start));
    !is_named
}

fn compiled(form: &str) -> Form {
    let (form, may_have_zone_name) = form.strip_suffix(ZONE_NAME).map_or((form, false), |form| (form, true));
    let form = form.replace("LONG", LONG_DAY).replace("DAY", SHORT_DAY).replace("MONTH", MONTH);
    Form { pattern: Pattern::new(&form.replace("ZONE", ZONE).replace("YMD", YMD)), may_have_zone_name }
}

/// Returns where the `datetime.datetime(…)` of one line that begins here ends, or up to where none begins.
pub fn constructor(text: Text<'_>, at: usize) -> Result<usize, usize> {
    let opened = || {
        let dot = at + "datetime".len();
        let class = dot + text.at(dot).filter(|c| *c != '\n')?.len_utf8();
        let has_names = text.rest(at).starts_with("datetime") && text.rest(class).starts_with("datetime(");
        has_names.then_some(class + "datetime(".len())
    };
    let Some(opened) = opened() else {
        return Err(at);
    };
    let end = text.find(opened, |c| matches!(c, ')' | '\n'));
    if text.byte(end) == Some(b')') { Ok(end + 1) } else { Err(end) }
}

/// Returns where the date or time that begins here with a digit or a name ends; `bracket_last` is the text's last `)`.
pub fn end(text: Text<'_>, at: usize, version: Version, bracket_last: Option<usize>) -> Option<usize> {
    static FORMS: [OnceLock<Forms>; 3] = [const { OnceLock::new() }; 3];
    let forms = FORMS[version as usize].get_or_init(|| Forms::of(version));
    let first = text.at(at)?;
    let candidates = match first {
        'A'..='Z' => &forms.name,
        _ => &forms.digit,
    };
    candidates.iter().find_map(|form| {
        let end = form.pattern.end(text, at)?;
        let zone_name = || zone_name_end(text, end, bracket_last);
        Some(form.may_have_zone_name.then(zone_name).flatten().unwrap_or(end))
    })
}

/// Returns where a blank and a name in brackets end.
fn zone_name_end(text: Text<'_>, at: usize, bracket_last: Option<usize>) -> Option<usize> {
    let open = at + text.at(at).filter(|c| is_blank(*c))?.len_utf8();
    let name = open + 1;
    if text.byte(open) != Some(b'(') || bracket_last.is_none_or(|last| last <= name) {
        return None;
    }
    let closing = text.find(name, |c| c == ')');
    (closing > name).then_some(closing + 1)
}
