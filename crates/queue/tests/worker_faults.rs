//! A broker that refuses what a worker tells it: what never ran must not look as if its worker had died with it. The clock
//! of the queue stands still, so that no lease ends by itself.

use crate::support::{Rig, job};
use crate::tend::Trapped;
use crate::worker::{PATIENCE, gated, one_thread, until};
use queue::{Broker, Ledger, NewJob, Worker};

#[test]
fn what_waits_behind_a_long_run_is_given_back_when_the_broker_takes_it() {
    let Rig { broker, folder: _folder, .. } = Rig::new();
    let queue = Trapped::with(broker, "give back");
    let (long, ran, go) = gated("long", "q", 1);
    let (other, _ran, _go) = gated("other", "q", 10);
    let of = |task: &str, id: &str| NewJob { task: task.into(), ..job(id) };
    crate::support::wait_for(queue.publish(vec![of("long", "a"), of("other", "b")])).expect("kept");
    let worker = Worker::start(queue.clone(), vec![long, other], one_thread());
    assert_eq!(ran.recv_timeout(PATIENCE).expect("runs"), ["a"]);
    until("it is not given back again", || queue.depths().expect("depths")[0].ready == 1);
    drop(go);
    worker.stop();
    worker.join();
}

#[test]
fn what_cannot_be_parked_goes_back_and_keeps_nothing_beside_it() {
    let Rig { broker, folder: _folder, .. } = Rig::new();
    let queue = Trapped::with(broker, "park");
    let (known, ran, go) = gated("known", "q", 10);
    let of = |task: &str, id: &str| NewJob { task: task.into(), ..job(id) };
    crate::support::wait_for(queue.publish(vec![of("strange", "a"), of("known", "b")])).expect("kept");
    drop(go);
    let worker = Worker::start(queue.clone(), vec![known], one_thread());
    assert_eq!(ran.recv_timeout(PATIENCE).expect("runs"), ["b"]);
    until("it is not parked", || queue.parked().expect("asked").iter().any(|parked| parked.jobs == 1));
    until("the other does not end", || queue.depths().expect("depths")[0].leased == 0);
    worker.join();
}
