//! A broker that refuses what a worker tells it: what never ran must not look as if its worker had died with it. The clock
//! of the queue stands still, so that no lease ends by itself.

use crate::support::{Rig, job};
use crate::tend::Trapped;
use crate::worker::{PATIENCE, gated, one_thread, until};
use queue::{Broker, JobOptions, Ledger, NewJob, Worker};

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

#[test]
fn what_a_thread_that_hangs_had_in_hand_is_given_back_when_the_broker_takes_it() {
    let Rig { broker, folder: _folder, .. } = Rig::new();
    let queue = Trapped::with(broker, "give back");
    queue.set("give back", u32::MAX);
    let (hung, ran_hung, _go_hung) = gated("hung", "q", 1);
    let (other, ran_other, go_other) = gated("other", "q", 10);
    let limits = JobOptions { time_limit_s: Some(1), ..JobOptions::default() };
    let hangs = NewJob { task: "hung".into(), options: limits, ..job("a") };
    let waits = NewJob { task: "other".into(), ..job("b") };
    crate::support::wait_for(queue.publish(vec![hangs, waits])).expect("kept");
    let worker = Worker::start(queue.clone(), vec![hung, other], one_thread());
    assert_eq!(ran_hung.recv_timeout(PATIENCE).expect("runs"), ["a"]);
    until("its thread is not left alone", || queue.dead_letter("a").expect("asked").is_some());
    assert_eq!(queue.depths().expect("depths")[0].leased, 1, "the broker does not take it yet");
    queue.set("give back", 0);
    assert_eq!(ran_other.recv_timeout(PATIENCE).expect("another thread runs it"), ["b"]);
    drop(go_other);
    worker.join();
}
