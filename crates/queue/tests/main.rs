//! The queue at its seam: what every broker must do, run on each, and what its folder must survive.

mod amqp_faults;
mod amqp_layout;
mod amqp_tools;
mod conformance;
mod conformance_leaving;
mod conformance_ledger;
mod conformance_letters;
mod copy;
mod cron;
mod embedded;
mod letters;
mod member;
mod model;
mod pool;
mod redis_books;
mod redis_ends;
mod redis_faults;
mod redis_layout;
mod redis_watch;
mod remote;
mod sim;
mod spool;
mod support;
mod tend;
mod worker;
mod worker_faults;
