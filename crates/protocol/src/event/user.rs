//! Who was affected.

use super::interface::interface;
use super::reader::lenient_text;
use crate::json::{Object, Str};

interface! {
    /// The user an event happened to.
    pub struct User<'a> {
        id: Str<'a> = "id" via lenient_text,
        email: Str<'a> = "email" via lenient_text,
        username: Str<'a> = "username" via lenient_text,
        name: Str<'a> = "name" via lenient_text,
        /// An address, or `{{auto}}` for the one the event came from.
        ip_address: Str<'a> = "ip_address",
        segment: Str<'a> = "segment" via lenient_text,
        geo: Geo<'a> = "geo",
        data: Object<'a> = "data",
        /// The unit of "users affected", set by normalisation: `id:42`, `email:…`.
        sentry_user: Str<'a> = "sentry_user",
    }
}

interface! {
    /// Where the user was.
    pub struct Geo<'a> {
        country_code: Str<'a> = "country_code",
        city: Str<'a> = "city",
        subdivision: Str<'a> = "subdivision",
        region: Str<'a> = "region",
    }
}
