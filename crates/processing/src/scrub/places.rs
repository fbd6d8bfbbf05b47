//! What each field of an event is to scrubbing. Names are those SDKs send, legacy ones included; a field nobody knows is
//! free-form data, so that a new SDK's field is scrubbed before anybody has heard of it.

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Place {
    /// Data of any shape: keys and values are looked at.
    Free,
    /// Names, paths, ids and source that default rules leave alone.
    Kept,
    /// Text for people, where only what cannot be meant (an address, a card) is replaced.
    Message,
    /// A message, or an object with one.
    Entry,
    /// Text that only the rule on network addresses touches.
    Prose,
    /// What was done, in the words of a program: what only looks like a secret is taken.
    Operation,
    /// What a client remarks about other fields; it may hold what they were before.
    Meta,
    /// The address of a client.
    Address,
    Url,
    /// `a=1&b=2`, or an object, or pairs.
    Query,
    /// `a=1; b=2`, or an object, or pairs.
    Cookies,
    Headers,
    /// A request's body: data, or text that is JSON or a form.
    Body,
    Tags,
    /// An object of named fields.
    Fields(fn(&str) -> Place),
    /// A list of objects.
    List(fn(&str) -> Place),
    /// A list of interfaces: `{"values": […]}`, a bare list, or one object.
    Values(fn(&str) -> Place),
}

/// Returns the name a top-level field is stored under.
pub(super) fn canonical(key: &str) -> &str {
    let Some(legacy) = key.strip_prefix("sentry.interfaces.") else {
        return if key == "message" { "logentry" } else { key };
    };
    match legacy {
        "Message" => "logentry",
        "Exception" => "exception",
        "Threads" => "threads",
        "Stacktrace" => "stacktrace",
        "Template" => "template",
        "Breadcrumbs" => "breadcrumbs",
        "User" => "user",
        "Http" => "request",
        "Contexts" => "contexts",
        "DebugMeta" => "debug_meta",
        "Csp" => "csp",
        _ => key,
    }
}

/// Returns what a top-level field is.
pub(super) fn of_event(key: &str) -> Place {
    match canonical(key) {
        "logentry" => Place::Entry,
        "exception" => Place::Values(of_exception),
        "threads" => Place::Values(of_thread),
        "stacktrace" => Place::Fields(of_stack),
        "breadcrumbs" => Place::Values(of_breadcrumb),
        "request" => Place::Fields(of_request),
        "user" => Place::Fields(of_user),
        "contexts" => Place::Fields(of_contexts),
        "spans" => Place::List(of_span),
        "tags" => Place::Tags,
        "csp" | "hpkp" | "expectct" | "expectstaple" => Place::Fields(of_report),
        "sdk" => Place::Fields(of_sdk),
        "debug_meta" => Place::Fields(of_debug_meta),
        "template" => Place::Fields(of_template),
        "_meta" => Place::Meta,
        "event_id" | "timestamp" | "start_timestamp" | "received" | "type" | "version" | "platform" | "level"
        | "logger" | "transaction" | "transaction_info" | "culprit" | "site" | "release" | "dist" | "environment"
        | "fingerprint" | "checksum" | "modules" | "measurements" | "breakdowns" | "time_spent" | "project"
        | "key_id" | "_metrics" | "_metrics_summary" => Place::Kept,
        _ => Place::Free,
    }
}

/// Returns what a field of a log entry is.
pub(super) fn of_entry(key: &str) -> Place {
    match key {
        "message" | "formatted" => Place::Message,
        _ => Place::Free,
    }
}

fn of_exception(key: &str) -> Place {
    match key {
        "type" | "module" | "thread_id" => Place::Kept,
        "value" => Place::Prose,
        "stacktrace" | "raw_stacktrace" => Place::Fields(of_stack),
        "mechanism" => Place::Fields(of_mechanism),
        _ => Place::Free,
    }
}

fn of_mechanism(key: &str) -> Place {
    match key {
        "type" | "help_link" | "handled" | "synthetic" | "source" | "exception_id" | "parent_id"
        | "is_exception_group" | "meta" => Place::Kept,
        _ => Place::Free,
    }
}

fn of_thread(key: &str) -> Place {
    match key {
        "id" | "name" | "crashed" | "current" | "main" | "state" | "priority" | "daemon" | "held_locks" => Place::Kept,
        "stacktrace" | "raw_stacktrace" => Place::Fields(of_stack),
        _ => Place::Free,
    }
}

fn of_stack(key: &str) -> Place {
    match key {
        "frames" => Place::List(of_frame),
        "registers" | "lang" | "snapshot" | "instruction_addr_adjustment" => Place::Kept,
        _ => Place::Free,
    }
}

fn of_frame(key: &str) -> Place {
    match key {
        "function" | "raw_function" | "symbol" | "module" | "package" | "filename" | "abs_path" | "lineno"
        | "colno" | "platform" | "pre_context" | "context_line" | "post_context" | "in_app" | "image_addr"
        | "instruction_addr" | "symbol_addr" | "function_id" | "addr_mode" | "trust" | "lang" | "stack_start"
        | "lock" | "source_link" => Place::Kept,
        _ => Place::Free,
    }
}

fn of_breadcrumb(key: &str) -> Place {
    match key {
        "timestamp" | "type" | "category" | "level" | "event_id" | "origin" => Place::Kept,
        _ => Place::Free,
    }
}

fn of_request(key: &str) -> Place {
    match key {
        "url" => Place::Url,
        "query_string" | "fragment" => Place::Query,
        "cookies" => Place::Cookies,
        "headers" => Place::Headers,
        "data" => Place::Body,
        "env" => Place::Fields(of_env),
        "method" | "inferred_content_type" | "api_target" | "body_size" => Place::Kept,
        _ => Place::Free,
    }
}

fn of_env(key: &str) -> Place {
    match key {
        "REMOTE_ADDR" => Place::Address,
        "HTTP_COOKIE" => Place::Cookies,
        "QUERY_STRING" => Place::Query,
        _ => Place::Free,
    }
}

fn of_user(key: &str) -> Place {
    match key {
        "ip_address" => Place::Address,
        _ => Place::Free,
    }
}

fn of_contexts(key: &str) -> Place {
    match key {
        "response" => Place::Fields(of_response),
        "trace" => Place::Fields(of_trace),
        _ => Place::Free,
    }
}

fn of_response(key: &str) -> Place {
    match key {
        "headers" => Place::Headers,
        "cookies" => Place::Cookies,
        "data" => Place::Body,
        _ => Place::Free,
    }
}

fn of_trace(key: &str) -> Place {
    match key {
        "trace_id" | "span_id" | "parent_span_id" | "op" | "status" | "origin" | "type" | "sampled" => Place::Kept,
        _ => Place::Free,
    }
}

fn of_span(key: &str) -> Place {
    match key {
        "span_id" | "trace_id" | "parent_span_id" | "start_timestamp" | "timestamp" | "op" | "status" | "origin" => {
            Place::Kept
        }
        "description" => Place::Operation,
        "tags" => Place::Tags,
        _ => Place::Free,
    }
}

fn of_report(key: &str) -> Place {
    match key {
        "document_uri" | "document-uri" | "documentURL" | "blocked_uri" | "blocked-uri" | "blockedURL" | "referrer"
        | "source_file" | "source-file" | "sourceFile" => Place::Url,
        _ if REPORT_FIELDS.contains(&&*key.replace('-', "_")) => Place::Kept,
        _ => Place::Free,
    }
}

/// What browsers report beside addresses, in all kinds of security reports.
const REPORT_FIELDS: &[&str] = &[
    "effective_directive",
    "effectiveDirective",
    "violated_directive",
    "violatedDirective",
    "original_policy",
    "originalPolicy",
    "disposition",
    "status_code",
    "statusCode",
    "line_number",
    "lineNumber",
    "column_number",
    "columnNumber",
    "script_sample",
    "sample",
    "date_time",
    "hostname",
    "port",
    "scheme",
    "effective_expiration_date",
    "include_subdomains",
    "noted_hostname",
    "served_certificate_chain",
    "validated_certificate_chain",
    "known_pins",
    "failure_mode",
    "test_report",
    "scts",
    "ocsp_response",
    "response_status",
    "cert_status",
];

fn of_sdk(key: &str) -> Place {
    match key {
        "client_ip" => Place::Address,
        "name" | "version" | "integrations" | "features" => Place::Kept,
        "packages" => Place::List(of_package),
        "settings" => Place::Fields(of_sdk_settings),
        _ => Place::Free,
    }
}

fn of_package(key: &str) -> Place {
    match key {
        "name" | "version" => Place::Kept,
        _ => Place::Free,
    }
}

fn of_sdk_settings(key: &str) -> Place {
    match key {
        "infer_ip" => Place::Kept,
        _ => Place::Free,
    }
}

fn of_debug_meta(key: &str) -> Place {
    match key {
        "images" => Place::List(of_image),
        _ => Place::Free,
    }
}

fn of_image(key: &str) -> Place {
    match key {
        "type" | "debug_id" | "code_id" | "code_file" | "debug_file" | "image_addr" | "image_size" | "image_vmaddr"
        | "arch" | "uuid" | "name" | "checksum" | "cpu_type" | "cpu_subtype" => Place::Kept,
        _ => Place::Free,
    }
}

fn of_template(key: &str) -> Place {
    match key {
        "filename" | "abs_path" | "lineno" | "colno" | "pre_context" | "context_line" | "post_context" => Place::Kept,
        _ => Place::Free,
    }
}
