//! Claims about the wire formats, tested from outside. One module a part; `corpus` and `hostile` run real and evil input.

mod accepted;
mod addresses;
mod answers;
mod auth;
mod bodies;
mod corpus;
mod envelopes;
mod hostile;
mod items;
mod properties;
mod stream;
