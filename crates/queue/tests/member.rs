//! One folder, several processes: here as several places in one process, and (`member/processes.rs`) as real processes
//! that are killed.

use crate::support::{self, job, unaccounted};
use queue::brokers::embedded;
use queue::brokers::member::{Config, Member};
use queue::{
    Broker, ClaimRequest, Claimed, Finish, JobId, JobState, Ledger, NewJob, Published, QueueBounds, QueueError,
};
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};
use stdx::SystemClock;

fn open(folder: &Path, name: &str) -> Member {
    try_open(folder, name).expect("a place at the queue")
}

fn try_open(folder: &Path, name: &str) -> Result<Member, QueueError> {
    let embedded = embedded::Config {
        folder: folder.join("queue"),
        free_space: Arc::new(|| Ok(u64::MAX)),
        ..support::config(folder)
    };
    let config =
        Config { embedded, socket: folder.join("queue.sock"), name: name.to_owned(), prefers_to_own: name == "web" };
    Member::open(config, Arc::new(SystemClock))
}

fn publish(place: &Member, jobs: Vec<NewJob>) -> Result<Vec<Published>, QueueError> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(place.publish(jobs))
}

fn claim(place: &Member, jobs_max: usize) -> Vec<Claimed> {
    let bounds = QueueBounds { queue: "q".to_owned(), jobs_max, bytes_max: usize::MAX, lease: support::LEASE };
    place.claim(&ClaimRequest { queues: vec![bounds] }).expect("claimed")
}

fn ids(claimed: &[Claimed]) -> Vec<String> {
    claimed.iter().map(|job| job.id.to_string()).collect()
}

#[test]
fn guests_publish_claim_and_finish_through_the_owner() {
    let folder = tempfile::tempdir().expect("a folder");
    let (owner, guest) = (open(folder.path(), "web"), open(folder.path(), "worker"));
    assert!(owner.is_owner() && !guest.is_owner());
    assert_eq!(publish(&guest, vec![job("a"), job("b")]).expect("kept"), [Published::Accepted; 2]);
    assert_eq!(publish(&owner, vec![job("a")]).expect("known"), [Published::AlreadyThere]);
    let claimed = claim(&guest, 1);
    assert_eq!((ids(&claimed), &claimed[0].payload[..]), (vec!["a".to_owned()], &b"payload of a"[..]));
    assert_eq!(owner.locate(&JobId::new("a")).expect("located"), Some(JobState::Leased));
    assert!(guest.extend(&[claimed[0].lease], support::LEASE).expect("extended").is_empty());
    assert!(guest.finish(vec![(claimed[0].lease, Finish::Done)]).expect("ended").is_empty());
    assert_eq!(guest.finish(vec![(claimed[0].lease, Finish::Done)]).expect("void"), [claimed[0].lease]);
    assert_eq!(guest.depths().expect("depths")[0].ready, 1);
    guest.pause("q").expect("paused");
    assert!(owner.depths().expect("depths")[0].paused);
    assert_eq!(guest.purge("q", &mut unaccounted).expect("purged"), 1);
}

#[test]
fn refusals_keep_their_kind_over_the_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_owner, guest) = (open(folder.path(), "web"), open(folder.path(), "worker"));
    let refused = publish(&guest, vec![job(&"x".repeat(129))]);
    assert!(matches!(refused, Err(QueueError::IdTooLong { length: 129, max: 128 })), "{refused:?}");
    let large = NewJob { payload: vec![0; (32 << 20) + 1].into(), ..job("a") };
    let refused = publish(&guest, vec![large]);
    assert!(matches!(refused, Err(QueueError::Full { bound: "bytes of one job" })), "{refused:?}");
}

#[test]
fn a_guest_takes_over_when_the_owner_goes_and_keeps_what_it_holds() {
    let folder = tempfile::tempdir().expect("a folder");
    let (owner, guest) = (open(folder.path(), "web"), open(folder.path(), "worker"));
    publish(&guest, vec![job("a"), job("b")]).expect("kept");
    let held = claim(&guest, 1);
    guest.declare("empty").expect("declared");
    drop(owner);
    let started = Instant::now();
    assert_eq!(publish(&guest, vec![job("c")]).expect("kept by the next owner"), [Published::Accepted]);
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
    assert!(guest.is_owner());
    let queues: Vec<String> = guest.depths().expect("depths").into_iter().map(|depth| depth.queue).collect();
    assert_eq!(queues, ["empty", "q"]);
    assert_eq!(ids(&claim(&guest, 10)), ["b", "c"], "what is held is not given again");
    assert!(guest.finish(vec![(held[0].lease, Finish::Done)]).expect("ended").is_empty(), "the lease held");
    let next = open(folder.path(), "web");
    assert!(!next.is_owner(), "nobody takes the folder from a living owner");
    assert_eq!(next.locate(&JobId::new("a")).expect("located"), None);
}

#[test]
fn what_a_guest_held_that_went_away_goes_to_others_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (owner, guest) = (open(folder.path(), "web"), open(folder.path(), "worker"));
    publish(&owner, vec![job("a")]).expect("kept");
    assert_eq!(claim(&guest, 1).len(), 1);
    drop(guest);
    let started = Instant::now();
    let again = loop {
        let again = claim(&owner, 1);
        if !again.is_empty() || started.elapsed() > Duration::from_secs(5) {
            break again;
        }
    };
    assert_eq!((ids(&again), again[0].attempt), (vec!["a".to_owned()], 2));
}

#[test]
fn strangers_on_the_socket_harm_nobody() {
    let folder = tempfile::tempdir().expect("a folder");
    let (owner, guest) = (open(folder.path(), "web"), open(folder.path(), "worker"));
    let huge = [1, 255, 255, 255, 255, 255, 255, 255, 255];
    for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &huge, &[9; 64], &[]] {
        let mut stranger = UnixStream::connect(folder.path().join("queue.sock")).expect("connected");
        stranger.write_all(bytes).expect("sent");
    }
    publish(&guest, vec![job("a")]).expect("kept");
    assert_eq!(claim(&owner, 1).len(), 1);
}

#[test]
fn a_path_longer_than_a_sockets_address_works() {
    let folder = tempfile::tempdir().expect("a folder");
    let deep = folder.path().join("d".repeat(90)).join("e".repeat(90));
    std::fs::create_dir_all(&deep).expect("folders");
    let (_owner, guest) = (open(&deep, "web"), open(&deep, "worker"));
    assert!(!guest.is_owner());
    publish(&guest, vec![job("a")]).expect("kept");
}

fn eventually(what: &str, is_so: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

#[test]
fn a_socket_that_was_removed_is_made_again() {
    let folder = tempfile::tempdir().expect("a folder");
    let (owner, guest) = (open(folder.path(), "web"), open(folder.path(), "worker"));
    let socket = folder.path().join("queue.sock");
    std::fs::remove_file(&socket).expect("somebody removes it");
    eventually("the socket is there again", || socket.exists());
    let late = open(folder.path(), "late");
    publish(&late, vec![job("a")]).expect("kept");
    publish(&guest, vec![job("b")]).expect("kept");
    assert_eq!(ids(&claim(&owner, 10)), ["a", "b"]);
}

#[test]
fn an_owner_whose_lock_file_was_removed_stops_and_serves_the_next() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(folder.path(), "web");
    publish(&first, vec![job("a"), job("b")]).expect("kept");
    let held = claim(&first, 1);
    std::fs::remove_file(folder.path().join("queue.sock")).expect("somebody removes it");
    std::fs::remove_file(folder.path().join("queue/lock")).expect("somebody removes it");
    let second = open(folder.path(), "worker");
    eventually("one of them owns the folder", || first.is_owner() != second.is_owner());
    publish(&first, vec![job("c")]).expect("kept");
    publish(&second, vec![job("d")]).expect("kept");
    assert_eq!(publish(&first, vec![job("d")]).expect("known"), [Published::AlreadyThere]);
    // The second could not know that anybody held something: the job runs again, and only that run may end it.
    assert_eq!(first.finish(vec![(held[0].lease, Finish::Done)]).expect("void"), [held[0].lease]);
    let mut left = Vec::new();
    for _ in 0..4 {
        left.extend(ids(&claim(&second, 10)));
    }
    left.sort_unstable();
    assert_eq!(left, ["a", "b", "c", "d"], "each comes once");
}

#[test]
fn an_owner_whose_lock_file_alone_was_removed_goes_on() {
    let folder = tempfile::tempdir().expect("a folder");
    let (owner, guest) = (open(folder.path(), "web"), open(folder.path(), "worker"));
    publish(&guest, vec![job("a")]).expect("kept");
    let lock = folder.path().join("queue/lock");
    std::fs::remove_file(&lock).expect("somebody removes it");
    eventually("somebody owns the folder", || lock.exists());
    publish(&guest, vec![job("b")]).expect("kept");
    publish(&owner, vec![job("c")]).expect("kept");
    assert_eq!(ids(&claim(&guest, 10)), ["a", "b", "c"]);
}

/// A process that is stopped accepts nothing; its door may even be full.
#[test]
fn an_owner_that_does_not_run_is_an_error_in_bounded_time() {
    use socket2::{Domain, SockAddr, Socket, Type};
    let folder = tempfile::tempdir().expect("a folder");
    let address = SockAddr::unix(folder.path().join("queue.sock")).expect("an address");
    let socket = || Socket::new(Domain::UNIX, Type::STREAM, None).expect("a socket");
    let stopped = socket();
    stopped.bind(&address).expect("bound");
    stopped.listen(1).expect("it listens");
    let mut crowd = Vec::new();
    for _ in 0..8 {
        let one = socket();
        one.set_nonblocking(true).expect("it waits for nothing");
        if one.connect(&address).is_ok() {
            crowd.push(one);
        }
    }
    assert!(crowd.len() < 8, "the door is full");
    let started = Instant::now();
    let refused = try_open(folder.path(), "worker").err().expect("nobody answers").to_string();
    assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
    assert!(refused.contains("queue.sock") && refused.contains("SIGCONT"), "{refused}");
}

/// A message of a guest as it stands on the socket: version, lengths of head and tail, head.
fn say(stream: &mut UnixStream, head: &str) {
    let mut frame = vec![1];
    frame.extend_from_slice(&(head.len() as u32).to_le_bytes());
    frame.extend_from_slice(&0u32.to_le_bytes());
    frame.extend_from_slice(head.as_bytes());
    stream.write_all(&frame).expect("sent");
}

/// Returns the number of the session.
fn greet(stream: &mut UnixStream, session: &str) -> String {
    say(stream, &format!(r#"{{"Hello":{{"name":"a guest","session":{session}}}}}"#));
    let mut start = [0; 9];
    stream.read_exact(&mut start).expect("an answer begins");
    let mut head = vec![0; u32::from_le_bytes([start[1], start[2], start[3], start[4]]) as usize];
    stream.read_exact(&mut head).expect("an answer");
    String::from_utf8_lossy(&head).trim_start_matches(r#"{"Ok":"#).trim_end_matches('}').to_owned()
}

/// As after a pause of the owner: the request is read when nobody waits for its answer any more.
#[test]
fn jobs_handed_to_a_guest_that_gave_up_asking_go_back_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let owner = open(folder.path(), "web");
    let connect = || UnixStream::connect(folder.path().join("queue.sock")).expect("connected");
    let mut life = connect();
    let session = greet(&mut life, "null");
    let mut asking = connect();
    assert_eq!(greet(&mut asking, &session), session);
    let bounds = r#"{"queue":"q","jobs_max":1,"bytes_max":1000,"lease_ms":60000}"#;
    say(&mut asking, &format!(r#"{{"Claim":{{"queues":[{bounds}]}}}}"#));
    drop(asking);
    publish(&owner, vec![job("a")]).expect("kept");
    let started = Instant::now();
    let claimed = loop {
        let claimed = claim(&owner, 1);
        if !claimed.is_empty() || started.elapsed() > Duration::from_secs(10) {
            break claimed;
        }
    };
    assert_eq!((ids(&claimed), claimed[0].attempt), (vec!["a".to_owned()], 1));
}
