//! Passwords as argon2id hashes. Hashing takes some 20 ms and 19 MiB, so it runs on a blocking thread, two at a time:
//! a flood of logins queues up instead of taking the machine.

use crate::ApiError;
use argon2::password_hash::phc::PasswordHash;
use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};
use std::sync::LazyLock;
use stdx::Redacted;
use tokio::sync::Semaphore;

/// OWASP's second recommendation for argon2id: 19 MiB, 2 passes, 1 lane.
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;
/// Hashes computed at once: 38 MiB at most.
const PARALLEL_MAX: usize = 2;
/// Longest password: beyond it hashing the input costs more than the hash.
const PASSWORD_BYTES_MAX: usize = 1_024;
const PASSWORD_CHARACTERS_MIN: usize = 8;

static SLOTS: Semaphore = Semaphore::const_new(PARALLEL_MAX);

/// The hash of no password, so that an unknown email takes as long as a wrong password and cannot be told from it.
static DECOY: LazyLock<Option<String>> = LazyLock::new(|| hash_now(b"no password hashes to this one").ok());

/// Returns the PHC text of a new hash.
pub(crate) async fn hash(password: &Redacted<String>) -> Result<String, ApiError> {
    let password = password.expose().clone();
    if password.chars().count() < PASSWORD_CHARACTERS_MIN || password.len() > PASSWORD_BYTES_MAX {
        return Err(ApiError::invalid(format!(
            "The password must have {PASSWORD_CHARACTERS_MIN} to {PASSWORD_BYTES_MAX} characters."
        )));
    }
    on_a_slot(move || hash_now(password.as_bytes())).await?.map_err(ApiError::store("hash a password"))
}

/// Tells whether the password belongs to the hash; without a hash it takes as long and is wrong.
pub(crate) async fn is_right(password: &Redacted<String>, hash: Option<String>) -> Result<bool, ApiError> {
    let password = password.expose().clone();
    if password.len() > PASSWORD_BYTES_MAX {
        return Ok(false);
    }
    on_a_slot(move || {
        let is_known = hash.is_some();
        let text = hash.or_else(|| DECOY.clone()).unwrap_or_default();
        // A hash that cannot be read matches no password (fails closed).
        let is_right = PasswordHash::new(&text)
            .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok());
        is_known && is_right
    })
    .await
}

async fn on_a_slot<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, ApiError> {
    let _slot = SLOTS.acquire().await.map_err(ApiError::store("wait to hash a password"))?;
    tokio::task::spawn_blocking(work).await.map_err(ApiError::store("hash a password on its thread"))
}

fn hash_now(password: &[u8]) -> Result<String, argon2::password_hash::Error> {
    let params = Params::new(MEMORY_KIB, PASSES, LANES, None)?;
    let hash: PasswordHash = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password(password)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_fits_its_own_hash_only() {
        let secret = |text: &str| Redacted::new(text.to_owned());
        let hash = hash(&secret("correct horse")).await.expect("a good password hashes");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_right(&secret("correct horse"), Some(hash.clone())).await.expect("verifies"));
        assert!(!is_right(&secret("wrong horse"), Some(hash)).await.expect("verifies"));
        assert!(!is_right(&secret("no password hashes to this one"), None).await.expect("verifies"));
        assert!(!is_right(&secret("anything"), Some("garbage".into())).await.expect("verifies"));
    }

    #[tokio::test]
    async fn short_and_endless_passwords_are_refused() {
        for text in ["1234567".to_owned(), "x".repeat(PASSWORD_BYTES_MAX + 1)] {
            assert_eq!(hash(&Redacted::new(text)).await.expect_err("refused").status(), 400);
        }
    }
}
