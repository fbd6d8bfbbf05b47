//! Debug images that addresses of native frames point into. Their fields are symbolication's to read.

use super::interface::interface;
use crate::json::{Object, Value};

interface! {
    /// The images loaded when the event happened.
    pub struct DebugMeta<'a> {
        sdk_info: Object<'a> = "sdk_info",
        images: Vec<Value<'a>> = "images",
    }
}
