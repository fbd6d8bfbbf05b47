//! Parts of pages: one file and one template each. A component is plain data made from what an operation returned, and
//! draws itself; it calls no operation and reads no clock. Strings in it are escaped where they are written out.

pub mod attachments;
pub mod breadcrumbs;
pub mod chart;
pub mod data_table;
pub mod event_bar;
pub mod event_sections;
pub mod exception;
pub mod frame;
pub mod grouping;
pub mod issue_row;
pub mod message;
pub mod notice;
pub mod pager;
pub mod receipt;
pub mod request;
pub mod snippets;
pub mod sparkline;
pub mod stacktrace;
pub mod tag_table;
pub mod threads;
