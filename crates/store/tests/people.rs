//! People, memberships, login sessions, tokens.

use super::{NOW, in_fresh_store, shop};
use std::time::Duration;
use store::sessions::SessionRow;
use store::tokens::NewToken;
use store::users::NewUser;
use store::{StoreError, sessions, tokens, users};

const ADA: NewUser<'static> =
    NewUser { email: "ada@example.com", name: "Ada", password_hash: Some("hash"), is_superuser: false };

#[test]
fn people_are_made_found_and_changed() {
    in_fresh_store(|tx| {
        let ada = users::create(tx, &ADA, NOW)?;
        assert!(matches!(users::create(tx, &ADA, NOW), Err(StoreError::Taken { .. })));
        assert_eq!(users::by_id(tx, ada.id)?.as_ref(), Some(&ada));
        assert_eq!(users::by_email(tx, ADA.email)?.as_ref(), Some(&ada));
        let changed = users::update(tx, &NewUser { password_hash: None, is_superuser: true, ..ADA })?;
        assert_eq!((changed.password_hash.as_deref(), changed.is_superuser), (Some("hash"), true));
        let nobody = users::update(tx, &NewUser { email: "no@example.com", ..ADA });
        assert!(matches!(nobody, Err(StoreError::Missing { .. })));
        users::set_last_login(tx, ada.id, NOW)?;
        assert_eq!(users::by_id(tx, ada.id)?.and_then(|row| row.last_login_at), Some(NOW));
        assert_eq!(users::list(tx)?.len(), 1);
        Ok(())
    });
}

#[test]
fn a_membership_has_one_role() {
    in_fresh_store(|tx| {
        let (org, _) = shop(tx)?;
        let ada = users::create(tx, &ADA, NOW)?;
        users::set_membership(tx, org.id, ada.id, "member", NOW)?;
        users::set_membership(tx, org.id, ada.id, "admin", NOW)?;
        assert_eq!(users::memberships(tx, ada.id)?, [(org.id, "admin".to_owned())]);
        assert!(users::set_membership(tx, org.id, ada.id, "king", NOW).is_err());
        assert!(users::set_membership(tx, org.id + 1, ada.id, "member", NOW).is_err(), "no such organization");
        Ok(())
    });
}

#[test]
fn sessions_end_by_time_by_hand_and_with_their_person() {
    in_fresh_store(|tx| {
        let ada = users::create(tx, &ADA, NOW)?;
        let hour = Duration::from_secs(3_600);
        let session = |number: u8| SessionRow {
            token_hash: [number; 32],
            user_id: ada.id,
            created_at: NOW,
            last_seen_at: NOW,
            expires_at: NOW.plus(hour),
            user_agent: "a browser".to_owned(),
        };
        for number in 1..=3 {
            sessions::create(tx, &session(number))?;
        }
        assert_eq!(sessions::find(tx, &[1; 32], NOW)?, Some(session(1)));
        assert_eq!(sessions::find(tx, &[1; 32], NOW.plus(hour))?, None);
        assert_eq!(sessions::find(tx, &[9; 32], NOW)?, None);
        sessions::touch(tx, &[1; 32], NOW.plus(hour), NOW.plus(hour * 2))?;
        assert!(sessions::find(tx, &[1; 32], NOW.plus(hour))?.is_some());
        assert_eq!(sessions::list(tx, ada.id, NOW)?.first().map(|row| row.token_hash), Some([1; 32]));
        assert!(sessions::delete(tx, &[2; 32])?);
        assert!(!sessions::delete(tx, &[2; 32])?);
        assert_eq!(sessions::delete_of_user(tx, 0, NOW.plus(hour))?, 1, "one has expired");
        assert_eq!(sessions::delete_of_user(tx, ada.id, NOW)?, 1);
        assert!(sessions::list(tx, ada.id, NOW)?.is_empty());
        Ok(())
    });
}

#[test]
fn tokens_are_found_by_hash_until_they_are_revoked() {
    in_fresh_store(|tx| {
        let ada = users::create(tx, &ADA, NOW)?;
        let new = NewToken { user_id: ada.id, token_hash: &[1; 32], hint: "beef", scopes: "event:read org:read" };
        let id = tokens::create(tx, &new, NOW)?;
        assert!(tokens::create(tx, &new, NOW).is_err(), "a hash is used once");
        let token = tokens::by_hash(tx, &[1; 32])?.expect("it is there");
        assert_eq!((token.id, token.user_email.as_str(), token.revoked_at), (id, ADA.email, None));
        assert_eq!(tokens::by_hash(tx, &[2; 32])?, None);
        tokens::set_last_used(tx, id, NOW)?;
        assert!(tokens::revoke(tx, id, NOW)?);
        assert!(!tokens::revoke(tx, id, NOW)?);
        let token = tokens::by_hash(tx, &[1; 32])?.expect("revoked ones are known");
        assert_eq!((token.last_used_at, token.revoked_at), (Some(NOW), Some(NOW)));
        assert_eq!((tokens::list(tx, None)?.len(), tokens::list(tx, Some(0))?.len()), (1, 0));
        Ok(())
    });
}
