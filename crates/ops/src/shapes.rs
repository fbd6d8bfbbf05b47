//! Sentry's JSON shapes of what operations return, shared by the web API and the commands.
