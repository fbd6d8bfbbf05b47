//! What people and scripts may do: every operation is `async fn op(cx, actor, input) -> Result<Output, ApiError>`; one
//! that changes what the audit log keeps takes the whole `Caller` for the actor.
//! Pages, the web API and the commands call these and nothing below them.
//!
//! Authorisation happens here, once: every object is looked up through its organization or project and the actor's
//! membership, and what an actor may not see is answered like what does not exist. `ops` knows nothing of HTTP beyond
//! the status each error names, and holds no SQL.

pub mod actor;
pub mod caller;
pub mod context;
pub mod error;
pub mod page;
pub mod scope;

mod login_limits;
mod lookup;
mod passwords;

pub mod attachments;
pub mod audit;
pub mod conservation;
pub mod dead_letters;
pub mod events;
pub mod first_run;
pub mod grouping;
pub mod issues;
pub mod itself;
pub mod keys;
pub mod members;
pub mod options;
pub mod organizations;
pub mod permissions;
pub mod project_settings;
pub mod projects;
pub mod pulse;
pub mod queues;
pub mod receipts;
pub mod schedules;
pub mod sessions;
pub mod shapes;
pub mod spools;
pub mod statistics;
pub mod status;
pub mod storage;
pub mod tokens;
pub mod users;
mod withdrawal;
pub mod workers;

pub use actor::{Actor, Role, UserActor};
pub use caller::{Caller, Channel};
pub use context::Ops;
pub use error::ApiError;
pub use page::{Page, PageRequest};
pub use permissions::{Permission, Permissions};
pub use scope::{Scope, Scopes};
