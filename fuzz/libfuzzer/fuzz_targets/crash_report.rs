//! `fuzz::targets::crash_report` under libFuzzer.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| fuzz::run("crash_report", bytes));
