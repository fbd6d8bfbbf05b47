//! An error with everything that caused it, as one line for logs and answers; and what a panic says.

use std::any::Any;
use std::error::Error;

/// Returns the error's text and those of its sources, joined by `: `.
pub fn on_one_line(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}

/// Returns the message of a caught panic.
pub fn of_panic(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("open the shop")]
    struct Outer(#[source] std::num::ParseIntError);

    #[test]
    fn causes_follow_what_was_attempted() {
        let error = Outer("x".parse::<i32>().expect_err("no number"));
        assert_eq!(on_one_line(&error), "open the shop: invalid digit found in string");
    }
}
