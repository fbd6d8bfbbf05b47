//! Users, sessions, tokens and keys.

use ops::keys::{CreateKey, KeyRef, UpdateKey};
use ops::projects::ProjectRef;
use ops::sessions::LogIn;
use ops::tokens::CreateToken;
use ops::users::CreateUser;
use ops::{Actor, ApiError, Caller, Channel, keys, sessions, tokens, users};
use std::net::IpAddr;
use std::time::Duration;
use stdx::Redacted;
use testkit::world::{NOON, PASSWORD, World};

fn log_in(email: &str, password: &str, last: u8) -> LogIn {
    LogIn {
        email: email.into(),
        password: Redacted::new(password.into()),
        address: IpAddr::from([192, 0, 2, last]),
        user_agent: "test".into(),
    }
}

fn system() -> Caller {
    Caller::of_task("test")
}

fn nobody() -> Caller {
    Caller::new(Actor::Anonymous, Channel::Api)
}

#[tokio::test]
async fn a_session_opens_with_the_password_and_ends_when_told_or_forgotten() {
    let world = World::new().await;
    world.person("ann@example.com", 1, "member", true).await;
    for (email, password) in [("ann@example.com", "wrong password"), ("nobody@example.com", PASSWORD)] {
        let refused = sessions::log_in(&world.ops, log_in(email, password, 1)).await.expect_err("refused");
        assert!(matches!(refused, ApiError::WrongPassword), "{email}");
    }
    let session = sessions::log_in(&world.ops, log_in(" Ann@Example.com ", PASSWORD, 1)).await.unwrap();
    let token = session.token.expose();
    assert!(
        matches!(sessions::lookup(&world.ops, token).await.unwrap(), Actor::User(user) if user.email == "ann@example.com")
    );

    // Visits move the expiry on, silence ends it.
    for _ in 0..3 {
        world.clock.advance(Duration::from_secs(10 * 24 * 3_600));
        assert!(matches!(sessions::lookup(&world.ops, token).await.unwrap(), Actor::User(_)));
    }
    world.clock.advance(Duration::from_secs(15 * 24 * 3_600));
    assert!(matches!(sessions::lookup(&world.ops, token).await.unwrap(), Actor::Anonymous));

    let session = sessions::log_in(&world.ops, log_in("ann@example.com", PASSWORD, 1)).await.unwrap();
    sessions::log_out(&world.ops, session.token.expose()).await.unwrap();
    for token in [session.token.expose().as_str(), "", "0", &"0".repeat(64)] {
        assert!(matches!(sessions::lookup(&world.ops, token).await.unwrap(), Actor::Anonymous));
    }
}

#[tokio::test]
async fn a_changed_password_ends_the_sessions() {
    let world = World::new().await;
    world.person("ann@example.com", 1, "member", true).await;
    let session = sessions::log_in(&world.ops, log_in("ann@example.com", PASSWORD, 1)).await.unwrap();
    let change = CreateUser {
        email: "ann@example.com".into(),
        name: None,
        password: Some(Redacted::new("another password".into())),
        is_superuser: None,
        org: None,
        force_update: true,
    };
    let again = CreateUser { force_update: false, ..change.clone() };
    assert_eq!(users::create(&world.ops, &system(), again).await.expect_err("known").status(), 409);
    users::create(&world.ops, &system(), change).await.unwrap();
    assert!(matches!(sessions::lookup(&world.ops, session.token.expose()).await.unwrap(), Actor::Anonymous));
}

#[tokio::test]
async fn guessing_passwords_is_stopped_whatever_the_address() {
    let world = World::new().await;
    world.person("ann@example.com", 1, "member", true).await;
    let mut refusals = Vec::new();
    for attempt in 0..11 {
        let refused = sessions::log_in(&world.ops, log_in("ann@example.com", "guess", attempt)).await;
        refusals.push(refused.expect_err("a guess is refused").status());
    }
    assert_eq!((refusals[9], refusals[10]), (401, 429));
    let blocked = sessions::log_in(&world.ops, log_in("ann@example.com", PASSWORD, 99)).await;
    assert_eq!(blocked.expect_err("also the right one waits").status(), 429);
    world.clock.advance(Duration::from_secs(3_600));
    assert!(sessions::log_in(&world.ops, log_in("ann@example.com", PASSWORD, 99)).await.is_ok());
}

#[tokio::test]
async fn a_revoked_or_invented_token_opens_nothing() {
    let world = World::new().await;
    world.person("ann@example.com", 1, "member", false).await;
    let text = world.token("ann@example.com", &["event:read"]).await;
    assert!(text.starts_with("vgu_") && text.len() == 68);
    let actor = tokens::authenticate(&world.ops, &text).await.unwrap();
    let listed = tokens::list(&world.ops, &actor).await.unwrap();
    assert_eq!((listed.len(), listed[0].hint.as_str(), listed[0].last_used_at), (1, &text[64..], Some(NOON)));
    tokens::revoke(&world.ops, &Caller::new(actor.clone(), Channel::Api), listed[0].id).await.unwrap();
    for text in [text.as_str(), "", "vgu_", &format!("vgu_{}", "0".repeat(64)), "vgu_' OR 1=1 --"] {
        let refused = tokens::authenticate(&world.ops, text).await.expect_err("refused");
        assert!(matches!(refused, ApiError::InvalidToken), "{text}");
    }
}

#[tokio::test]
async fn a_token_cannot_make_a_stronger_one_or_somebody_elses() {
    let world = World::new().await;
    world.person("ann@example.com", 1, "owner", false).await;
    world.person("bob@example.com", 1, "owner", false).await;
    let weak = world.caller("ann@example.com", &["event:read", "project:read"]).await;
    let create = |email: Option<&str>, scopes: &[&str]| CreateToken {
        email: email.map(str::to_owned),
        scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
    };
    let own = tokens::create(&world.ops, &weak, create(None, &[])).await.unwrap();
    assert_eq!(own.token.scopes, ["project:read", "event:read"]);
    for (input, status) in [
        (create(None, &["event:write"]), 403),
        (create(None, &["org:admin"]), 403),
        (create(None, &["no:such"]), 400),
        (create(Some("bob@example.com"), &["event:read"]), 403),
    ] {
        assert_eq!(
            tokens::create(&world.ops, &weak, input.clone()).await.expect_err("refused").status(),
            status,
            "{input:?}"
        );
    }
    let bobs = world.token("bob@example.com", &[]).await;
    let Actor::User(bob) = tokens::authenticate(&world.ops, &bobs).await.unwrap() else { panic!("a user") };
    let id = tokens::list(&world.ops, &Actor::User(bob)).await.unwrap()[0].id;
    assert_eq!(tokens::revoke(&world.ops, &weak, id).await.expect_err("not ann's").status(), 404);
    let nobody = tokens::create(&world.ops, &nobody(), create(Some("ann@example.com"), &[])).await;
    assert_eq!(nobody.expect_err("nobody").status(), 401);
}

#[tokio::test]
async fn keys_come_and_go_within_their_project() {
    let world = World::new().await;
    let project = || ProjectRef { org: "acme".into(), project: "shop".into() };
    let first = keys::list(&world.ops, &Actor::System, &project()).await.unwrap().remove(0);
    assert_eq!(first.dsn_public, format!("http://{}@vigie.test:9000/1", first.public_key));
    let created = CreateKey { project: project(), label: Some("mobile".into()) };
    let key = keys::create(&world.ops, &system(), created).await.unwrap();
    let reference = |project: &str| KeyRef {
        project: ProjectRef { org: "acme".into(), project: project.into() },
        key: key.public_key.clone(),
    };
    let update = UpdateKey { key: reference("shop"), label: None, is_active: Some(false) };
    assert!(!keys::update(&world.ops, &system(), update).await.unwrap().is_active);
    let elsewhere = keys::delete(&world.ops, &system(), &reference("site")).await;
    assert_eq!(elsewhere.expect_err("another project's key").status(), 404);
    keys::delete(&world.ops, &system(), &reference("shop")).await.unwrap();
    assert_eq!(keys::list(&world.ops, &Actor::System, &project()).await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_first_login_is_made_once_and_opens() {
    let world = World::empty();
    let login = ops::first_run::set_up(&world.ops, &system()).await.unwrap().expect("the directory was empty");
    assert!(ops::first_run::set_up(&world.ops, &system()).await.unwrap().is_none());
    assert!(ops::first_run::set_up(&world.ops, &nobody()).await.is_err());
    let session = sessions::log_in(&world.ops, log_in(login.email, login.password.expose(), 1)).await.unwrap();
    let actor = sessions::lookup(&world.ops, session.token.expose()).await.unwrap();
    let default = ProjectRef { org: "default".into(), project: "default".into() };
    assert_eq!(ops::projects::get(&world.ops, &actor, &default).await.unwrap().id, 1);
    assert_eq!(keys::list(&world.ops, &actor, &default).await.unwrap().len(), 1);
}
