//! The SDK, from the authentication where the payload does not say.

use super::Context;
use crate::limits::SDK_CHARS_MAX;
use crate::text::{cut_field, drop_empty};
use protocol::event::{Event, Sdk};
use protocol::json::Str;

pub(super) fn set_sdk<'a>(event: &mut Event<'a>, context: &Context<'_>) {
    if event.sdk.is_none()
        && let Some((name, version)) = context.auth_client.and_then(|client| client.split_once('/'))
    {
        let (name, version) = (Str::from(name.to_owned()), Str::from(version.to_owned()));
        event.sdk = Some(Sdk { name: Some(name), version: Some(version), ..Sdk::default() });
    }
    if let Some(sdk) = &mut event.sdk {
        drop_empty(&mut sdk.name);
        drop_empty(&mut sdk.version);
        cut_field(&mut sdk.name, SDK_CHARS_MAX);
        cut_field(&mut sdk.version, SDK_CHARS_MAX);
    }
}
