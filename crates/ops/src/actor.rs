//! Who asks. An actor is made by `sessions::lookup`, `tokens::authenticate` or the command line, never by a request.

use crate::permissions::{Permission, Permissions};
use crate::{ApiError, Scope, Scopes};
use std::sync::Arc;

/// Who asks for an operation; cheap to clone.
#[derive(Clone, Debug)]
pub enum Actor {
    /// Nobody has proved anything.
    Anonymous,
    User(Arc<UserActor>),
    /// The command line beside the data directory, and the process itself.
    System,
}

/// A person, by session or by token.
#[derive(Clone, Debug)]
pub struct UserActor {
    pub id: i64,
    pub email: String,
    pub name: String,
    /// Sees every organization; what else a superuser may do is by permission.
    pub is_superuser: bool,
    /// Empty for anybody but a superuser.
    pub permissions: Permissions,
    /// Organization id and the role there.
    pub roles: Vec<(i64, Role)>,
    /// What the token allows; `None` = a session, whose scopes follow from the role.
    pub scopes: Option<Scopes>,
}

/// A person's role in an organization, weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Role {
    Member,
    Admin,
    Manager,
    Owner,
}

impl Role {
    pub fn as_str(self) -> &'static str {
        match self {
            Role::Member => "member",
            Role::Admin => "admin",
            Role::Manager => "manager",
            Role::Owner => "owner",
        }
    }

    /// Returns the role named `text`, or `None` for a name this release does not know (fails closed: no role).
    pub fn parse(text: &str) -> Option<Role> {
        [Role::Member, Role::Admin, Role::Manager, Role::Owner].into_iter().find(|role| role.as_str() == text)
    }
}

impl Actor {
    /// Returns the person's id, or `None` for the system and for nobody.
    pub fn user_id(&self) -> Option<i64> {
        match self {
            Actor::User(user) => Some(user.id),
            Actor::Anonymous | Actor::System => None,
        }
    }

    /// Tells whether the actor belongs to the organization, with whatever rights.
    pub fn belongs_to(&self, org_id: i64) -> bool {
        match self {
            Actor::Anonymous => false,
            Actor::User(user) => user.is_superuser || user.roles.iter().any(|(org, _)| *org == org_id),
            Actor::System => true,
        }
    }

    /// Requires somebody, whoever it is.
    pub fn require_known(&self) -> Result<(), ApiError> {
        match self {
            Actor::Anonymous => Err(ApiError::Unauthenticated),
            Actor::User(_) | Actor::System => Ok(()),
        }
    }

    /// Requires `scope` whatever the organization: by token, or by having a role at all.
    pub fn require(&self, scope: Scope) -> Result<(), ApiError> {
        self.require_known()?;
        match self.token_scopes() {
            Some(scopes) if !scopes.allows(scope) => Err(ApiError::Forbidden { scope }),
            Some(_) | None => Ok(()),
        }
    }

    /// Requires `scope` within the organization. A stranger gets "not found", a member without the right "forbidden". A
    /// superuser reads everywhere, and changes what the role does not allow with `projects.admin`.
    pub fn require_in(&self, org_id: i64, scope: Scope) -> Result<(), ApiError> {
        self.require(scope)?;
        let Actor::User(user) = self else { return Ok(()) };
        let role = user.role_in(org_id);
        if role.is_some_and(|role| Scopes::of_role(role).allows(scope)) {
            return Ok(());
        }
        if user.is_superuser {
            let is_allowed = scope.is_reading() || user.permissions.has(Permission::ProjectsAdmin);
            let missing = ApiError::PermissionMissing { permission: Permission::ProjectsAdmin };
            return if is_allowed { Ok(()) } else { Err(missing) };
        }
        Err(if role.is_some() { ApiError::Forbidden { scope } } else { ApiError::NotFound })
    }

    /// Requires a superuser's session or token, or the system itself.
    pub fn require_superuser(&self) -> Result<(), ApiError> {
        match self {
            Actor::Anonymous => Err(ApiError::Unauthenticated),
            Actor::User(user) if user.is_superuser => self.require(Scope::OrgAdmin),
            Actor::User(_) => Err(ApiError::SuperuserNeeded),
            Actor::System => Ok(()),
        }
    }

    /// Requires a superuser who holds `permission`, or the system itself.
    pub fn require_permission(&self, permission: Permission) -> Result<(), ApiError> {
        self.require_superuser()?;
        match self {
            Actor::User(user) if !user.permissions.has(permission) => Err(ApiError::PermissionMissing { permission }),
            Actor::Anonymous | Actor::User(_) | Actor::System => Ok(()),
        }
    }

    fn token_scopes(&self) -> Option<Scopes> {
        match self {
            Actor::User(user) => user.scopes,
            Actor::Anonymous | Actor::System => None,
        }
    }
}

impl UserActor {
    /// Returns the role in an organization, `None` for a stranger to it.
    pub fn role_in(&self, org_id: i64) -> Option<Role> {
        self.roles.iter().find(|(org, _)| *org == org_id).map(|(_, role)| *role)
    }
}
