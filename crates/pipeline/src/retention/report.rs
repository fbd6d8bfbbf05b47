//! What a sweep would remove, and what it did: sums by model and project.

use super::policies::Model;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Rows and bytes of one model, of one project or of none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Freed {
    pub model: Model,
    /// 0 = of no project.
    pub project_id: i64,
    pub rows: u64,
    pub bytes: u64,
}

/// Version of a report's JSON.
const VERSION: u64 = 1;

/// The sums of a sweep.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    sums: BTreeMap<(Model, i64), (u64, u64)>,
    /// Units of work that were done.
    pub units: u64,
    /// Units that were run again, for a failure or a death.
    pub retried: u64,
    /// Hands that took no more units before the end, with why.
    pub lost: Vec<String>,
    /// Units that were set aside, with why.
    pub skipped: Vec<String>,
    /// Units that were run again, with why; for the summary.
    pub retries: Vec<String>,
    /// Bytes that files became smaller by.
    pub returned_bytes: u64,
}

impl Report {
    pub fn add(&mut self, freed: &[Freed]) {
        for Freed { model, project_id, rows, bytes } in freed {
            let sum = self.sums.entry((*model, *project_id)).or_default();
            sum.0 += rows;
            sum.1 += bytes;
        }
    }

    /// Adds what an earlier part of the same sweep did, as `to_json` wrote it. What cannot be read is left out.
    pub fn add_json(&mut self, text: &str) {
        let Ok(value) = serde_json::from_str::<Value>(text) else { return };
        if value["version"] != VERSION {
            return;
        }
        for row in value["models"].as_array().into_iter().flatten() {
            if let Ok(freed) = serde_json::from_value::<Freed>(row.clone()) {
                self.add(&[freed]);
            }
        }
        let number = |name: &str| value[name].as_u64().unwrap_or_default();
        self.units += number("units");
        self.retried += number("retried");
        self.returned_bytes += number("returned_bytes");
    }

    /// Returns the report as a sweep's row keeps it.
    pub fn to_json(&self) -> Value {
        json!({
            "version": VERSION, "models": self.rows().collect::<Vec<Freed>>(), "units": self.units,
            "retried": self.retried, "skipped": self.skipped, "lost": self.lost,
            "returned_bytes": self.returned_bytes,
        })
    }

    /// Returns the sums by model and project.
    pub fn rows(&self) -> impl Iterator<Item = Freed> {
        self.sums.iter().map(|((model, project_id), (rows, bytes))| Freed {
            model: *model,
            project_id: *project_id,
            rows: *rows,
            bytes: *bytes,
        })
    }

    pub fn rows_total(&self) -> u64 {
        self.sums.values().map(|(rows, _)| rows).sum()
    }

    pub fn bytes_total(&self) -> u64 {
        self.sums.values().map(|(_, bytes)| bytes).sum()
    }
}
