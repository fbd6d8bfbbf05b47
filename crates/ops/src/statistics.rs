//! Statistics of a project: events by hour of receipt.

use crate::projects::ProjectRef;
use crate::{Actor, ApiError, Ops};
use stdx::Timestamp;

#[derive(Clone, Debug)]
pub struct ProjectStatistics {
    pub project: ProjectRef,
    /// `None` = a day ago.
    pub since: Option<Timestamp>,
    /// `None` = now.
    pub until: Option<Timestamp>,
    pub resolution: Resolution,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Resolution {
    #[default]
    Hour,
    Day,
}

/// Returns events received by step, oldest first, gaps filled with zero.
pub async fn project(_cx: &Ops, _actor: &Actor, _input: &ProjectStatistics) -> Result<Vec<(Timestamp, i64)>, ApiError> {
    Err(ApiError::NotFound)
}
