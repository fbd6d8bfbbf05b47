//! Task `debug.hog`: takes memory and gives it back at its end, unless it is ended before. It needs a process, so that
//! the drill cannot take the worker's memory.

use crate::drill;
use queue::call::Call;
use queue::{CallTask, Claimed, Outcome, Policy, RunContext};

pub const NAME: &str = "debug.hog";
pub const QUEUE: &str = "debug";
/// What a drill may ask for; where no limit stands, it still must not end the machine.
const MIB_MAX: u64 = 8_192;
/// It looks this often whether its time is over.
const CHUNK_MIB: u64 = 8;

pub struct Hog;

impl CallTask for Hog {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        drill::policy(QUEUE)
    }

    fn needs_process(&self) -> bool {
        true
    }

    fn call(&self, _job: &Claimed, call: Call, cx: &RunContext) -> Outcome {
        let mib = drill::argument(&call, 0, "mib").and_then(serde_json::Value::as_u64);
        let Some(mib) = mib.filter(|mib| *mib <= MIB_MAX) else {
            return Outcome::Dead { error: format!("TypeError: mib must be a number from 0 to {MIB_MAX}") };
        };
        let mut held: Vec<Vec<u8>> = Vec::new();
        let mut taken = 0;
        while taken < mib {
            if cx.is_over_time() {
                return Outcome::Retry { error: "TimeLimitExceeded: it was still taking memory".to_owned() };
            }
            let chunk = CHUNK_MIB.min(mib - taken);
            // Bytes that are not zero are really there.
            held.push(vec![1; (chunk << 20) as usize]);
            taken += chunk;
        }
        std::hint::black_box(&held);
        Outcome::Returned { value: mib.into() }
    }
}
