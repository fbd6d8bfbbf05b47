//! The rate limits that an answer tells to a client: the headers `X-Sentry-Rate-Limits` and `Retry-After`. Counts nothing.
//!
//! Source: Sentry's SDK documentation ("Rate Limiting").

use crate::category::Category;
use std::fmt::{self, Write};

/// Longest wait that is told; a client that was told more could not be called back.
pub const RETRY_AFTER_SECONDS_MAX: u64 = 300;
/// Wait that a client assumes when it gets 429 and neither header.
pub const RETRY_AFTER_SECONDS_ASSUMED: u64 = 60;

/// One limit that is active now.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RateLimit {
    pub retry_after_seconds: u64,
    /// What is limited; empty means everything.
    pub categories: Vec<Category>,
    pub scope: Scope,
    /// A free identifier such as `key_quota`; characters that would break the header are left out.
    pub reason: Option<String>,
}

/// Whose limit it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Organization,
    Project,
    Key,
}

impl Scope {
    pub const fn name(self) -> &'static str {
        match self {
            Scope::Organization => "organization",
            Scope::Project => "project",
            Scope::Key => "key",
        }
    }
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.retry_after_seconds.min(RETRY_AFTER_SECONDS_MAX))?;
        for (at, category) in categories_for_clients(&self.categories).iter().enumerate() {
            if at > 0 {
                f.write_char(';')?;
            }
            f.write_str(category.name())?;
        }
        write!(f, ":{}", self.scope.name())?;
        if let Some(reason) = &self.reason {
            let reason: String = reason.chars().filter(|c| c.is_ascii_alphanumeric() || "_-.".contains(*c)).collect();
            write!(f, ":{reason}")?;
        }
        Ok(())
    }
}

/// Old SDKs know errors only as `default`, so a limit on one names both.
fn categories_for_clients(categories: &[Category]) -> Vec<Category> {
    let mut named = Vec::with_capacity(categories.len() + 1);
    for category in categories {
        let both = match category.canonical() {
            Category::Error => [Some(Category::Default), Some(Category::Error)],
            other => [Some(other), None],
        };
        for category in both.into_iter().flatten() {
            if !named.contains(&category) {
                named.push(category);
            }
        }
    }
    named
}

/// Returns the value of `X-Sentry-Rate-Limits`, or `None` when no limit is active: an empty header means nothing.
pub fn header_value(limits: &[RateLimit]) -> Option<String> {
    let mut limits = limits.iter();
    let mut value = limits.next()?.to_string();
    for limit in limits {
        value.push_str(", ");
        value.push_str(&limit.to_string());
    }
    Some(value)
}

/// Returns the value of `Retry-After`: the longest wait in whole seconds.
pub fn retry_after_seconds(limits: &[RateLimit]) -> Option<u64> {
    limits.iter().map(|limit| limit.retry_after_seconds.min(RETRY_AFTER_SECONDS_MAX)).max()
}
