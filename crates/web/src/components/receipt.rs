//! What the pipeline did with an event: its steps with their times, and what it had to say about the envelope.

use askama::Template;
use ops::receipts::{Receipt as Facts, ReceiptState};
use stdx::Timestamp;

#[derive(Clone, Debug, Template)]
#[template(path = "components/receipt.html")]
pub struct Receipt {
    state: &'static str,
    class: &'static str,
    reason: Option<String>,
    steps: Vec<Step>,
    remarks: Vec<Remark>,
}

impl askama::filters::HtmlSafe for Receipt {}

#[derive(Clone, Debug)]
struct Step {
    name: &'static str,
    at: String,
    /// Time since the step before.
    took: String,
}

#[derive(Clone, Debug)]
struct Remark {
    state: String,
    reason: String,
    quantity: i64,
}

impl Receipt {
    pub fn of(facts: &Facts) -> Receipt {
        let mut before: Option<Timestamp> = None;
        let mut steps = Vec::with_capacity(facts.steps.len());
        for step in &facts.steps {
            let took = match (before, step.at) {
                (Some(before), Some(at)) => format!("+{} ms", at.since(before).as_millis()),
                (None, _) | (_, None) => String::new(),
            };
            before = step.at.or(before);
            steps.push(Step { name: step.step, at: step.at.map(crate::format::clock).unwrap_or_default(), took });
        }
        let remarks = facts.remarks.iter().map(|remark| Remark {
            state: remark.state.clone(),
            reason: remark.reason.clone(),
            quantity: remark.quantity,
        });
        Receipt {
            state: facts.state.as_str(),
            class: class(facts.state),
            reason: facts.reason.clone(),
            steps,
            remarks: remarks.collect(),
        }
    }
}

fn class(state: ReceiptState) -> &'static str {
    match state {
        ReceiptState::Stored => "good",
        ReceiptState::Dead => "bad",
        ReceiptState::Queued | ReceiptState::Processing => "busy",
        ReceiptState::Filtered
        | ReceiptState::Duplicate
        | ReceiptState::Expired
        | ReceiptState::NotKept
        | ReceiptState::Unknown => "dull",
    }
}
