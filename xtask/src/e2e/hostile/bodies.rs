//! Bodies that are no envelope, envelopes that lie about themselves, and bombs.

use super::{Failures, new_id, post, small_event, with_event};
use crate::e2e::Place;
use bench::event::gzip;
use bench::server::Dsn;

const MIB: usize = 1 << 20;

pub fn check(place: &Place, dsn: &Dsn, failures: &mut Failures) {
    check_encodings(place, dsn, failures);
    check_framing(place, dsn, failures);
    check_bombs(place, dsn, failures);
}

fn check_encodings(place: &Place, dsn: &Dsn, failures: &mut Failures) {
    let body = small_event(&new_id());
    let packed = gzip(&body);
    let encoded = |encoding: &str, body: &[u8]| post(place, dsn, &[("Content-Encoding", encoding)], body);
    failures.expect("encoding that nobody knows", &[400, 415], encoded("lzma", &body));
    failures.expect("gzip that is none", &[400], encoded("gzip", &body));
    failures.expect("gzip that breaks off", &[400], encoded("gzip", &packed[..packed.len() / 2]));
    failures.expect("zstd that is none", &[400], encoded("zstd", &body));
    failures.expect("brotli that is none", &[400], encoded("br", &[0xff; 100]));
    failures.expect("empty encoding", &[200], encoded("", &body));
    failures.expect("gzip under its old name", &[200], encoded("x-gzip", &packed));
}

fn check_framing(place: &Place, dsn: &Dsn, failures: &mut Failures) {
    let plain = |body: &[u8]| post(place, dsn, &[], body);
    let id = new_id();
    failures.expect("empty body", &[400], plain(b""));
    failures.expect("envelope without items", &[200], plain(b"{}\n"));
    failures.expect("header that is no JSON", &[400], plain(b"hello\n{\"type\":\"event\"}\n{}\n"));
    failures.expect("header that is a list", &[400], plain(b"[]\n{\"type\":\"event\"}\n{}\n"));
    failures.expect("item header that is no JSON", &[400], plain(b"{}\nhello\n{}\n"));
    let lying = |length: &str| format!("{{\"event_id\":\"{id}\"}}\n{{\"type\":\"event\",\"length\":{length}}}\n{{}}\n");
    failures.expect("length beyond the body", &[400], plain(lying("5000").as_bytes()));
    failures.expect("length below the payload", &[400], plain(lying("1").as_bytes()));
    failures.expect("length beyond all numbers", &[400], plain(lying("18446744073709551615").as_bytes()));
    failures.expect("negative length", &[400], plain(lying("-1").as_bytes()));
    failures.expect("item of an unknown kind", &[200], plain(b"{}\n{\"type\":\"hologram\"}\n{}\n"));
    let many = ["{}\n".to_owned(), "{\"type\":\"hologram\"}\n{}\n".repeat(10_000)].concat();
    failures.expect("10,000 items", &[413], plain(many.as_bytes()));
    let attachment = "{\"type\":\"attachment\",\"length\":1,\"filename\":\"a\"}\nx\n";
    let many = format!("{{\"event_id\":\"{id}\"}}\n{}", attachment.repeat(31));
    failures.expect("31 attachments", &[413], plain(many.as_bytes()));
    let two = format!("{{\"event_id\":\"{id}\"}}\n{}", "{\"type\":\"event\"}\n{}\n".repeat(2));
    failures.expect("two events", &[400, 413], plain(two.as_bytes()));
    let long_line = format!("{{\"a\":\"{}\"}}\n", "x".repeat(MIB));
    failures.expect("header line of a megabyte", &[400, 413], plain(long_line.as_bytes()));
}

fn check_bombs(place: &Place, dsn: &Dsn, failures: &mut Failures) {
    let packed = |body: &[u8]| post(place, dsn, &[("Content-Encoding", "gzip")], &gzip(body));
    failures.expect("300 MB of zeros in gzip", &[400, 413], packed(&vec![0; 300 * MIB]));
    let envelope = with_event(&new_id(), &vec![b' '; 300 * MIB]);
    failures.expect("event of 300 MB in gzip", &[413], packed(&envelope));
    drop(envelope);
    let id = new_id();
    let text = format!("{{\"event_id\":\"{id}\",\"message\":\"{}\"}}", "x".repeat(100 * MIB));
    failures.expect("text of 100 MB", &[413], post(place, dsn, &[], &with_event(&id, text.as_bytes())));
    let tags: Vec<String> = (0..1_000_000).map(|n| format!("\"tag{n}\":\"value{n}\"")).collect();
    let text = format!("{{\"event_id\":\"{id}\",\"tags\":{{{}}}}}", tags.join(","));
    failures.expect("a million tags", &[413], packed(&with_event(&id, text.as_bytes())));
}
