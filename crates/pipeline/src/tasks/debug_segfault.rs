//! Task `debug.segfault`: touches memory that is not its own, as a fault in native code would. It needs a process: the
//! drill shows what a crash costs, and beside other work it would cost that.

use crate::drill;
use queue::call::Call;
use queue::{CallTask, Claimed, Outcome, Policy, RunContext};

pub const NAME: &str = "debug.segfault";
pub const QUEUE: &str = "debug";
/// In the first page, which Linux gives to nobody.
const NOBODYS: usize = 8;

pub struct Segfault;

impl CallTask for Segfault {
    fn name(&self) -> &'static str {
        NAME
    }

    fn policy(&self) -> Policy {
        drill::policy(QUEUE)
    }

    fn needs_process(&self) -> bool {
        true
    }

    fn call(&self, job: &Claimed, _call: Call, _cx: &RunContext) -> Outcome {
        tracing::warn!(job = %job.id, "faulting, as the drill asks");
        touch_nobodys_memory();
        Outcome::Dead { error: "RuntimeError: the first page can be written here".to_owned() }
    }
}

#[allow(unsafe_code, reason = "a real fault is the drill")]
fn touch_nobodys_memory() {
    // SAFETY: a volatile write outside of all Rust's memory; the kernel refuses it and ends the process.
    unsafe { std::ptr::without_provenance_mut::<u8>(NOBODYS).write_volatile(1) };
}
