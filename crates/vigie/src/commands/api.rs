//! `vigie api METHOD PATH [-d JSON] [--as USER]`: the web API without a socket, as the system or with one person's
//! rights. The answer goes to standard output; a refusal, in the body of HTTP, to standard error.

use super::{Usage, output};
use crate::cli::{Api, ApiMethod};
use crate::config::Config;
use crate::local::Local;
use http::Method;
use ops::{Caller, Channel};
use serde_json::Value;
use std::process::ExitCode;
use web::ApiClient;

pub fn run(config: &Config, call: Api) -> anyhow::Result<ExitCode> {
    let data: Option<Value> = match &call.data {
        Some(text) => Some(serde_json::from_str(text).map_err(|error| Usage(format!("-d is no JSON: {error}")))?),
        // As Sentry's client sends it.
        None if matches!(call.method, ApiMethod::Put | ApiMethod::Post) => Some(Value::Object(Default::default())),
        None => None,
    };
    let method = match call.method {
        ApiMethod::Get => Method::GET,
        ApiMethod::Put => Method::PUT,
        ApiMethod::Post => Method::POST,
        ApiMethod::Delete => Method::DELETE,
    };
    let local = Local::open(config)?;
    let caller = match &call.user {
        None => local.caller(),
        Some(user) => {
            let actor = local.wait(ops::users::act_as(&local.ops, &local.caller(), user))?;
            Caller::new(actor, Channel::Cli)
        }
    };
    let client = ApiClient::new(local.ops.clone(), caller);
    let reply = local.run(client.send(method, &call.path, data))?;
    if !reply.body.is_empty() {
        output::raw(&reply.body)?;
    }
    Ok(ExitCode::SUCCESS)
}
