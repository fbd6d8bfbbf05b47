//! The body of a task message: decompressed within a bound, and brought into the shape of a call.

use super::parcel::{Fields, field};
use serde_json::{Map, Value};
use std::io::Read;

/// Bytes of a body after decompression: what one job may have at publish.
const BODY_BYTES_MAX: u64 = 32 << 20;

/// Returns the body without its compression.
///
/// # Errors
/// Says why it cannot be read.
pub(super) fn decompress(body: Vec<u8>, compression: Option<&str>) -> Result<Vec<u8>, String> {
    let Some(compression) = compression else { return Ok(body) };
    match compression {
        // kombu calls it gzip and writes zlib; others write what they say.
        "application/x-gzip" | "gzip" | "zlib" if body.starts_with(&[0x1f, 0x8b]) => {
            inflated(flate2::read::MultiGzDecoder::new(&body[..]))
        }
        "application/x-gzip" | "gzip" | "zlib" => inflated(flate2::read::ZlibDecoder::new(&body[..])),
        "application/zstd" | "zstd" | "zstandard" => {
            inflated(zstd::stream::read::Decoder::new(&body[..]).map_err(|error| error.to_string())?)
        }
        other => Err(format!("its body has the compression {other:.64}, which is not supported")),
    }
}

fn inflated(reader: impl Read) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    reader
        .take(BODY_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| format!("its body cannot be decompressed: {error}"))?;
    if bytes.len() as u64 > BODY_BYTES_MAX {
        return Err(format!("its body has more than {BODY_BYTES_MAX} bytes"));
    }
    Ok(bytes)
}

/// What protocol 1 keeps in the body.
#[derive(Default, Debug)]
pub(super) struct Body1 {
    pub task: Option<String>,
    pub id: Option<String>,
    pub retries: Option<u32>,
    pub eta: Option<String>,
    pub expires: Option<String>,
    pub hard_limit: Option<f64>,
    pub group: Option<String>,
}

/// Returns the payload of a call, and what an old client put beside the arguments.
///
/// # Errors
/// Says why it is neither `[args, kwargs, embed]` nor an object of protocol 1.
pub(super) fn read_call(body: Vec<u8>) -> Result<(Vec<u8>, Body1), String> {
    let start = body.iter().find(|byte| !byte.is_ascii_whitespace());
    if start == Some(&b'[') {
        crate::call::Call::parse(&body).map_err(|error| stdx::causes::on_one_line(&error))?;
        return Ok((body, Body1::default()));
    }
    let old: Fields = serde_json::from_slice(&body).map_err(|error| format!("its body is no call: {error}"))?;
    let (callbacks, errbacks): (Value, Value) = (any(&old, "callbacks"), any(&old, "errbacks"));
    let embed = serde_json::json!({
        "callbacks": callbacks, "errbacks": errbacks, "chain": any(&old, "chain"), "chord": any(&old, "chord"),
    });
    let args: Vec<Value> = field(&old, "args").unwrap_or_default();
    let kwargs: Map<String, Value> = field(&old, "kwargs").unwrap_or_default();
    let payload = serde_json::to_vec(&(args, kwargs, embed)).map_err(|error| error.to_string())?;
    let limits: Option<(Option<f64>, Option<f64>)> = field(&old, "timelimit");
    let rest = Body1 {
        task: field(&old, "task"),
        id: field(&old, "id"),
        retries: field(&old, "retries"),
        eta: field(&old, "eta"),
        expires: field(&old, "expires"),
        hard_limit: limits.and_then(|(hard, _soft)| hard),
        group: field(&old, "taskset"),
    };
    Ok((payload, rest))
}

fn any(fields: &Fields, name: &str) -> Value {
    field(fields, name).unwrap_or(Value::Null)
}
