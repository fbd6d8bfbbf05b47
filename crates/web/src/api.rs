//! The web API under `/api/0/`.

use crate::WebState;

/// Returns the routes under `/api/0/`.
pub fn router(_state: WebState) -> axum::Router {
    axum::Router::new()
}
