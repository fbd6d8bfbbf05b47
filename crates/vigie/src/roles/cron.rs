//! The cron role.

use super::Base;
use stdx::Components;

pub(super) fn add(_base: &mut Base, _components: &mut Components) {}
