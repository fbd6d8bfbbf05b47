//! The frame around every page: title, rail, the pipeline's dot, theme, notice. A page's template extends
//! `layout.html` and carries a `Shell`.

use crate::components::notice::Notice;
use crate::format::grouped;
use crate::state::{PipelineHealth, PipelineLight, WebState};
use crate::viewer::{Browser, Theme, Viewer};
use ops::{Permission, Permissions, UserActor};

pub struct Shell {
    pub title: String,
    pub nav: Nav,
    pub user: Option<ShellUser>,
    pub health: PipelineHealth,
    pub theme: Theme,
    pub notice: Option<Notice>,
    /// Path and query of this page, for forms that come back to it.
    pub path: String,
}

pub struct ShellUser {
    pub email: String,
    pub is_superuser: bool,
    pub permissions: Permissions,
}

/// Which entry of the rail is lit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nav {
    Issues,
    Projects,
    System,
    Account,
    None,
}

impl Shell {
    pub fn of(state: &WebState, viewer: &Viewer, nav: Nav, title: impl Into<String>) -> Shell {
        let UserActor { email, is_superuser, permissions, .. } = &*viewer.user;
        let user = ShellUser { email: email.clone(), is_superuser: *is_superuser, permissions: *permissions };
        Shell { user: Some(user), nav, ..Shell::anonymous(state, &viewer.browser, title) }
    }

    pub fn anonymous(state: &WebState, browser: &Browser, title: impl Into<String>) -> Shell {
        Shell {
            title: title.into(),
            nav: Nav::None,
            user: None,
            health: (state.health)(),
            theme: browser.theme,
            notice: browser.notice.as_deref().and_then(|text| Notice::parse(text, &browser.path)),
            path: browser.path.clone(),
        }
    }

    pub fn light_class(&self) -> &'static str {
        match self.health.light {
            PipelineLight::Green => "green",
            PipelineLight::Amber => "amber",
            PipelineLight::Red => "red",
        }
    }

    /// Accepted events that no page shows yet.
    pub fn waiting(&self) -> String {
        grouped(i64::try_from(self.health.waiting).unwrap_or(i64::MAX))
    }

    pub fn light_word(&self) -> &'static str {
        match self.health.light {
            PipelineLight::Green => "Pipeline flowing",
            PipelineLight::Amber => "Pipeline behind",
            PipelineLight::Red => "Pipeline stuck",
        }
    }

    pub fn is_superuser(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.is_superuser)
    }

    /// Whether to show the buttons that act on queues and dead letters; the operations decide when one is pressed.
    pub fn may_act_on_queues(&self) -> bool {
        self.user.as_ref().is_some_and(|user| user.permissions.has(Permission::QueuesAdmin))
    }

    pub fn lit(&self, nav: Nav) -> &'static str {
        if self.nav == nav { "page" } else { "false" }
    }
}
