//! Tests of what pages look like, with facts made by hand: no store, no session. The router's tests are in `tests/`.

mod console;
mod fixtures;
mod hostile;
mod templates;
