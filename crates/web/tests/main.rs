//! The router over operations on real stores: what is answered, to whom, and with which guards.

/// Pages through the router, as a browser would read them.
mod pages {
    mod access;
    mod browser;
    mod console;
    mod forms;
    mod guards;
    mod hostile;
    mod reading;
    mod settings;
}
