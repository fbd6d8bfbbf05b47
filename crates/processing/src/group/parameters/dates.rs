//! Dates and times in the forms programs write them.

use super::Version;
use super::pattern::Pattern;
use super::words::Text;
use std::sync::OnceLock;

/// The forms that can begin with a digit, with a letter of a day or month, and with `datetime`, each in order.
#[derive(Debug)]
struct Forms {
    digit: Vec<Pattern>,
    name: Vec<Pattern>,
    constructor: Pattern,
}

const SHORT_DAY: &str = "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)";
const LONG_DAY: &str = "(Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)";
const MONTH: &str = "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)";
const ZONE: &str = "(UT|GMT|[ECMP][SD]T|[A-IK-Z])";
const YMD: &str = r"\d{4}-?[01]\d-?[0-3]\d[\sT]";

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
    r"DAY\sMONTH\s\d\d\s\d{4}\s\d\d:\d\d:\d\d\sGMT[+\-]\d{4}(\s\([^)]+\))?",
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
const CONSTRUCTOR: &str = r"datetime.datetime\(.*?\)";

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
            constructor: compiled(CONSTRUCTOR),
        }
    }
}

fn begins_with_digit(form: &str) -> bool {
    // The day of the month stands first where the day of the week is left out.
    let is_named = ["DAY", "LONG", "(LONG", "(DAY\\s", r"\b(DAY\s"].iter().any(|start| form.starts_with(start));
    !is_named
}

fn compiled(form: &str) -> Pattern {
    let form = form.replace("LONG", LONG_DAY).replace("DAY", SHORT_DAY).replace("MONTH", MONTH);
    Pattern::new(&form.replace("ZONE", ZONE).replace("YMD", YMD))
}

/// Returns where the date or time that begins here ends.
pub fn end(text: Text<'_>, at: usize, version: Version) -> Option<usize> {
    static FORMS: [OnceLock<Forms>; 3] = [const { OnceLock::new() }; 3];
    let forms = FORMS[version as usize].get_or_init(|| Forms::of(version));
    let first = text.at(at)?;
    let candidates = match first {
        'd' => return text.rest(at).starts_with("datetime").then(|| forms.constructor.end(text, at))?,
        'A'..='Z' => &forms.name,
        _ => &forms.digit,
    };
    candidates.iter().find_map(|form| form.end(text, at))
}
