//! What the load generator and the end-to-end tests share: a small HTTP client, prebuilt envelopes, and a private
//! server of a release build. It knows Vigie by its public face only.
