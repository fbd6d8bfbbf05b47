//! What a token or a role allows, in Sentry's names (<https://docs.sentry.io/api/permissions/>).

use crate::Role;

/// One right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Scope {
    OrgRead,
    OrgWrite,
    OrgAdmin,
    OrgCi,
    MemberRead,
    MemberWrite,
    MemberAdmin,
    TeamRead,
    TeamWrite,
    TeamAdmin,
    ProjectRead,
    ProjectWrite,
    ProjectAdmin,
    ProjectReleases,
    EventRead,
    EventWrite,
    EventAdmin,
    AlertsRead,
    AlertsWrite,
}

/// Every scope with its text and the scopes it includes.
const TABLE: &[(Scope, &str, &[Scope])] = &[
    (Scope::OrgRead, "org:read", &[]),
    (Scope::OrgWrite, "org:write", &[Scope::OrgRead]),
    (Scope::OrgAdmin, "org:admin", &[Scope::OrgWrite, Scope::OrgRead]),
    (Scope::OrgCi, "org:ci", &[]),
    (Scope::MemberRead, "member:read", &[]),
    (Scope::MemberWrite, "member:write", &[Scope::MemberRead]),
    (Scope::MemberAdmin, "member:admin", &[Scope::MemberWrite, Scope::MemberRead]),
    (Scope::TeamRead, "team:read", &[]),
    (Scope::TeamWrite, "team:write", &[Scope::TeamRead]),
    (Scope::TeamAdmin, "team:admin", &[Scope::TeamWrite, Scope::TeamRead]),
    (Scope::ProjectRead, "project:read", &[]),
    (Scope::ProjectWrite, "project:write", &[Scope::ProjectRead]),
    (Scope::ProjectAdmin, "project:admin", &[Scope::ProjectWrite, Scope::ProjectRead]),
    (Scope::ProjectReleases, "project:releases", &[]),
    (Scope::EventRead, "event:read", &[]),
    (Scope::EventWrite, "event:write", &[Scope::EventRead]),
    (Scope::EventAdmin, "event:admin", &[Scope::EventWrite, Scope::EventRead]),
    (Scope::AlertsRead, "alerts:read", &[]),
    (Scope::AlertsWrite, "alerts:write", &[Scope::AlertsRead]),
];

impl Scope {
    pub fn as_str(self) -> &'static str {
        let row = TABLE.iter().find(|(scope, _, _)| *scope == self);
        row.map(|(_, text, _)| *text).expect("every scope has a row in the table")
    }

    /// Returns the scope named `text`, or `None` if there is none (a token cannot be made with it).
    pub fn parse(text: &str) -> Option<Scope> {
        TABLE.iter().find(|(_, name, _)| *name == text).map(|(scope, _, _)| *scope)
    }

    /// Tells whether it allows nothing but reading.
    pub fn is_reading(self) -> bool {
        self.as_str().ends_with(":read")
    }

    fn bit(self) -> u32 {
        1 << self as u8
    }
}

/// A set of scopes, closed under inclusion: `event:admin` allows what `event:read` allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scopes(u32);

impl Scopes {
    pub fn all() -> Scopes {
        TABLE.iter().map(|(scope, _, _)| *scope).collect()
    }

    /// What a person may do by role, without a token.
    pub fn of_role(role: Role) -> Scopes {
        use Scope::*;
        let scopes: &[Scope] = match role {
            Role::Member => &[OrgRead, MemberRead, TeamRead, ProjectRead, ProjectReleases, EventWrite, AlertsRead],
            Role::Admin => {
                &[OrgRead, MemberRead, TeamAdmin, ProjectWrite, ProjectReleases, EventAdmin, AlertsWrite, OrgCi]
            }
            Role::Manager => {
                &[OrgWrite, MemberAdmin, TeamAdmin, ProjectAdmin, ProjectReleases, EventAdmin, AlertsWrite, OrgCi]
            }
            Role::Owner => return Scopes::all(),
        };
        scopes.iter().copied().collect()
    }

    pub fn allows(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    pub fn union(self, other: Scopes) -> Scopes {
        Scopes(self.0 | other.0)
    }

    /// Returns the scopes' texts in the table's order.
    pub fn names(self) -> Vec<&'static str> {
        TABLE.iter().filter(|(scope, _, _)| self.allows(*scope)).map(|(_, text, _)| *text).collect()
    }

    /// Reads the stored form, separated by spaces. Unknown names are skipped: they allow nothing.
    pub fn parse_stored(text: &str) -> Scopes {
        text.split_ascii_whitespace().filter_map(Scope::parse).collect()
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        let mut bits = 0;
        for scope in scopes {
            bits |= scope.bit();
            for (row, _, included) in TABLE {
                if *row == scope {
                    bits |= included.iter().map(|scope| scope.bit()).fold(0, |a, b| a | b);
                }
            }
        }
        Scopes(bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_includes_the_weaker_ones_and_no_others() {
        let scopes: Scopes = [Scope::EventAdmin].into_iter().collect();
        assert_eq!(scopes.names(), ["event:read", "event:write", "event:admin"]);
        assert!(!scopes.allows(Scope::ProjectRead));
    }

    #[test]
    fn names_go_both_ways_and_strangers_allow_nothing() {
        for name in Scopes::all().names() {
            assert_eq!(Scope::parse(name).map(Scope::as_str), Some(name));
        }
        assert_eq!(Scopes::parse_stored("event:read root:everything"), Scopes::parse_stored("event:read"));
    }
}
