//! How often one address and one email may fail to log in. In memory: a restart forgives, which is what an operator
//! who locked himself out needs. It reads no clock.

use crate::ApiError;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use stdx::Timestamp;

/// Attempts of one address within the window.
const ATTEMPTS_PER_ADDRESS_MAX: u32 = 20;
/// Attempts at one email within the window; at this rate even eight letters take years.
const ATTEMPTS_PER_EMAIL_MAX: u32 = 10;
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// Addresses and emails remembered, some 100 bytes each.
const KEYS_MAX: usize = 10_000;

/// Attempts at logging in, by address and by email.
#[derive(Default)]
pub(crate) struct LoginLimits {
    windows: Mutex<HashMap<Key, Window>>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Address(IpAddr),
    Email(String),
}

struct Window {
    started_at: Timestamp,
    attempts: u32,
}

impl LoginLimits {
    /// Counts an attempt before it is made, so that parallel ones cannot all slip through.
    ///
    /// # Errors
    /// `RateLimited` if the address or the email had its attempts.
    pub fn take(&self, address: IpAddr, email: &str, now: Timestamp) -> Result<(), ApiError> {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        if windows.len() + 2 > KEYS_MAX {
            make_room(&mut windows, now);
        }
        let keys = keys(address, email);
        for (key, attempts_max) in &keys {
            if let Some(window) = windows.get(key)
                && window.is_running(now)
                && window.attempts >= *attempts_max
            {
                let retry_after = WINDOW.saturating_sub(now.since(window.started_at));
                return Err(ApiError::RateLimited { retry_after });
            }
        }
        for (key, _) in keys {
            let window = windows.entry(key).or_insert(Window { started_at: now, attempts: 0 });
            if !window.is_running(now) {
                *window = Window { started_at: now, attempts: 0 };
            }
            window.attempts += 1;
        }
        Ok(())
    }

    /// Takes the attempt back: it succeeded. The email starts afresh; the address only gets its attempt back, or one
    /// good password would buy guesses at all others.
    pub fn forgive(&self, address: IpAddr, email: &str) {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        windows.remove(&Key::Email(email.to_owned()));
        if let Some(window) = windows.get_mut(&Key::Address(address)) {
            window.attempts = window.attempts.saturating_sub(1);
        }
    }
}

fn keys(address: IpAddr, email: &str) -> [(Key, u32); 2] {
    [(Key::Address(address), ATTEMPTS_PER_ADDRESS_MAX), (Key::Email(email.to_owned()), ATTEMPTS_PER_EMAIL_MAX)]
}

/// Drops what has run out; if that is not enough, the windows that are closest to it.
fn make_room(windows: &mut HashMap<Key, Window>, now: Timestamp) {
    windows.retain(|_, window| window.is_running(now));
    if windows.len() + 2 <= KEYS_MAX {
        return;
    }
    let mut starts: Vec<Timestamp> = windows.values().map(|window| window.started_at).collect();
    starts.sort_unstable();
    let middle = starts[starts.len() / 2];
    windows.retain(|_, window| window.started_at > middle);
}

impl Window {
    fn is_running(&self, now: Timestamp) -> bool {
        // A clock that stepped back must not lock anybody out for longer than the window.
        now >= self.started_at && now.since(self.started_at) < WINDOW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn an_email_has_its_attempts_from_wherever_they_come() {
        let limits = LoginLimits::default();
        let start = Timestamp::from_seconds(1_000);
        for number in 0..ATTEMPTS_PER_EMAIL_MAX as u8 {
            limits.take(address(number), "a@example.com", start).expect("within the limit");
        }
        let refused = limits.take(address(200), "a@example.com", start).expect_err("over the limit");
        assert!(matches!(refused, ApiError::RateLimited { retry_after } if retry_after == WINDOW));
        limits.take(address(200), "b@example.com", start).expect("another email is free");
        limits.take(address(200), "a@example.com", start.plus(WINDOW)).expect("the window ran out");
    }

    #[test]
    fn an_address_has_its_attempts_whatever_the_email() {
        let limits = LoginLimits::default();
        let start = Timestamp::from_seconds(1_000);
        for number in 0..ATTEMPTS_PER_ADDRESS_MAX {
            limits.take(address(1), &format!("{number}@example.com"), start).expect("within the limit");
        }
        limits.take(address(1), "x@example.com", start).expect_err("over the limit");
        limits.forgive(address(1), "0@example.com");
        limits.take(address(1), "x@example.com", start).expect("a success gives its attempt back");
    }

    #[test]
    fn memory_stays_bounded() {
        let limits = LoginLimits::default();
        for number in 0..3 * KEYS_MAX as i64 {
            let [a, b, c, d] = (number as u32).to_be_bytes();
            let _ =
                limits.take(IpAddr::from([a, b, c, d]), &number.to_string(), Timestamp::from_micros(number)).is_ok();
        }
        assert!(limits.windows.lock().unwrap().len() <= KEYS_MAX);
    }
}
