//! Storage roles: which engine pages read each kind of fact from, and which engines the digest writes to. A set that does
//! not agree would start, take events and never show them; it is refused with the setting to change.

use super::layers::{Layers, Setting};
use super::{Problem, without_password};

/// A role follows the address of its store unless it names an engine.
const FOLLOWS: &str = "follow";

/// A role that reads, and the address of the writer it needs.
const READERS: [(&str, &str); 4] = [
    ("storage.bodies", "events.url"),
    ("storage.search", "database.url"),
    ("storage.series", "database.url"),
    ("storage.tags", "database.url"),
];
/// The writers of the digest, and what they must be.
const STREAM: (&str, &str) = ("storage.stream", "database.url");

/// Returns what does not agree, each with its fix in one line.
pub fn disagreements(layers: &Layers) -> Vec<Problem> {
    let read = READERS.iter().filter_map(|(role, url)| disagreement(layers, role, url, "reads from"));
    let written = disagreement(layers, STREAM.0, STREAM.1, "writes to");
    read.chain(written).collect()
}

fn disagreement(layers: &Layers, role: &str, url: &str, does: &str) -> Option<Problem> {
    let chosen = layers.in_force(role).filter(|setting| setting.text != FOLLOWS)?;
    let writer = layers.in_force(url)?;
    let engine = engine_of(writer);
    if chosen.text == engine {
        return None;
    }
    let text = format!(
        "{role}: {does} {}, but {url} = {} ({}) is {engine}; fix: {role} = \"{engine}\"",
        chosen.text,
        without_password(&writer.text),
        writer.place,
    );
    Some(Problem { place: chosen.place.clone(), text })
}

fn engine_of(url: &Setting) -> &str {
    match url.text.split(':').next().unwrap_or_default() {
        "postgresql" => "postgres",
        "clickhouse+http" => "clickhouse",
        scheme => scheme,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layer;

    fn problems(settings: &[(&'static str, &str)]) -> Vec<String> {
        let mut layers = Layers::of_defaults();
        for (name, text) in settings {
            let place = format!("{name}'s line");
            layers.put(name, Setting { layer: Layer::File, place, text: (*text).to_owned() });
        }
        disagreements(&layers).into_iter().map(|problem| format!("{}: {}", problem.place, problem.text)).collect()
    }

    #[test]
    fn roles_that_follow_their_stores_agree() {
        assert!(problems(&[]).is_empty());
        assert!(problems(&[("database.url", "postgres://u:p@host/vigie"), ("storage.bodies", "sqlite")]).is_empty());
        assert!(problems(&[("storage.search", "sqlite"), ("storage.stream", "sqlite")]).is_empty());
    }

    #[test]
    fn a_reader_of_another_engine_than_its_writer_is_named_with_the_fix() {
        assert_eq!(
            problems(&[("storage.search", "clickhouse")]),
            ["storage.search's line: storage.search: reads from clickhouse, but database.url = sqlite: (default) is \
              sqlite; fix: storage.search = \"sqlite\""]
        );
        let moved = problems(&[("events.url", "clickhouse+http://u:p@host/db"), ("storage.bodies", "sqlite")]);
        assert!(moved[0].contains("events.url = clickhouse+http://u:***@host/db"), "{moved:?}");
        assert!(moved[0].ends_with("fix: storage.bodies = \"clickhouse\""), "{moved:?}");
        assert!(problems(&[("storage.stream", "postgres")])[0].contains("writes to postgres"));
    }
}
