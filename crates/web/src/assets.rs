//! Style, script and icon: embedded in the binary, named by their hash so that browsers keep them for ever.

use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Write;
use std::sync::LazyLock;

#[derive(RustEmbed)]
#[folder = "static/"]
struct Folder;

struct Asset {
    url: String,
    etag: String,
    content_type: &'static str,
    plain: Bytes,
    gzip: Bytes,
}

static ASSETS: LazyLock<BTreeMap<String, Asset>> = LazyLock::new(|| {
    Folder::iter()
        .filter_map(|name| Folder::get(&name).map(|file| (name.to_string(), load(&name, &file.data))))
        .collect()
});

/// Returns the asset's address, with its hash in the path.
///
/// # Panics
/// If there is no such file in `static/`: templates name them by hand, and each template has a test.
pub fn url(name: &str) -> &'static str {
    &ASSETS.get(name).expect("the template names a file in static/").url
}

/// `GET /static/{hash}/{name}`. An old hash gets the present file, but not for ever.
pub async fn serve(Path((hash, name)): Path<(String, String)>, headers: HeaderMap) -> Response {
    let Some(asset) = ASSETS.get(&name) else { return StatusCode::NOT_FOUND.into_response() };
    let is_current = asset.url.contains(&hash);
    let lifetime = if is_current { "public, max-age=31536000, immutable" } else { "no-cache" };
    let common = [
        (header::CONTENT_TYPE, asset.content_type),
        (header::CACHE_CONTROL, lifetime),
        (header::ETAG, asset.etag.as_str()),
        (header::VARY, "accept-encoding"),
    ];
    if headers.get(header::IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == asset.etag.as_bytes()) {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    if accepts_gzip(&headers) {
        return (common, [(header::CONTENT_ENCODING, "gzip")], asset.gzip.clone()).into_response();
    }
    (common, asset.plain.clone()).into_response()
}

/// Tells whether the client takes gzip. `gzip;q=0` is a refusal nobody sends, but it is one.
pub fn accepts_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get(header::ACCEPT_ENCODING).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accepted.split(',').map(str::trim).any(|part| part == "gzip" || (part.starts_with("gzip;") && part != "gzip;q=0"))
}

/// Returns `plain` as a gzip stream.
pub fn gzip(plain: &[u8], level: Compression) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4 + 64), level);
    encoder.write_all(plain).expect("writing to memory cannot fail");
    encoder.finish().expect("writing to memory cannot fail").into()
}

fn load(name: &str, content: &[u8]) -> Asset {
    let hash = stdx::hex::encode(&Sha256::digest(content)[..8]);
    Asset {
        url: format!("/static/{hash}/{name}"),
        etag: format!("\"{hash}\""),
        content_type: content_type(name),
        plain: Bytes::copy_from_slice(content),
        gzip: gzip(content, Compression::best()),
    }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit('.').next() {
        Some("css") => "text/css; charset=utf-8",
        Some("js") => "text/javascript; charset=utf-8",
        Some("svg") => "image/svg+xml",
        _ => "application/octet-stream",
    }
}
