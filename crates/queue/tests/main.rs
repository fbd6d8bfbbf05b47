//! The queue at its seam: what every broker must do, run on the embedded one, and what its folder must survive.

mod conformance;
mod embedded;
mod model;
mod shared;
mod support;
mod worker;
