//! What else RabbitMQ carries for us: requests of Celery's tools and the replies to them, results of Python workers; and TLS.

use crate::redis_faults::certificates;
use crate::support::{LEASE, RabbitPlace, RabbitServer, claim_from, job, rabbit_is_here, unaccounted, wait_for};
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Connection, ConnectionProperties};
use queue::broadcast::Notice;
use queue::brokers::amqp::{Amqp, AmqpConfig};
use queue::call::{Call, Embed};
use queue::{Broker, Finish, JobId, JobOptions, JobResult, LeaseId, Ledger, NewJob};
use serde_json::{Map, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const WAIT_MAX: Duration = Duration::from_secs(60);

#[test]
fn a_request_reaches_every_listener_and_its_replies_the_asker() {
    if !rabbit_is_here() {
        return;
    }
    let (place, other) = (RabbitPlace::shared(), RabbitPlace::shared());
    let (broker, asker) = (place.live_broker(), other.live_broker());
    let (tools, asks) = (broker.broadcast().expect("Celery's tools"), asker.broadcast().expect("Celery's tools"));
    let key = stdx::random::uuid();
    let is_over = AtomicBool::new(false);
    let replies = std::thread::scope(|scope| {
        for node in ["one@here", "two@here"] {
            let (tools, key, is_over) = (tools.clone(), key.clone(), &is_over);
            scope.spawn(move || {
                let mut hear = |notice: Option<Notice>| {
                    // Other tests' workers ask too.
                    if let Some(request) = notice.filter(|notice| notice.headers.get("key") == Some(&json!(key))) {
                        assert_eq!(request.body, br#"{"method":"ping"}"#);
                        tools.reply(&key, &Notice::json(Map::new(), &json!({ node: "pong" }))).expect("replied");
                    }
                    !is_over.load(Ordering::SeqCst)
                };
                tools.listen(node, &mut hear).expect("heard");
            });
        }
        let request = Notice::json([("key".to_owned(), json!(key))].into_iter().collect(), &json!({"method": "ping"}));
        let began = Instant::now();
        let mut replies = Vec::new();
        // Until both listen.
        while replies.len() < 2 && began.elapsed() < WAIT_MAX {
            replies = asks.ask(&key, &request, Duration::from_millis(500)).expect("asked");
        }
        is_over.store(true, Ordering::SeqCst);
        replies
    });
    let mut bodies: Vec<_> = replies.iter().map(|reply| String::from_utf8_lossy(&reply.body).into_owned()).collect();
    bodies.sort_unstable();
    assert_eq!(bodies, [r#"{"one@here":"pong"}"#, r#"{"two@here":"pong"}"#]);
    asks.reply("gone", &replies[0]).expect("an asker that is gone is no error");
    asks.tell("worker.heartbeat", &replies[0]).expect("told to nobody");
}

#[test]
fn what_was_revoked_is_known_to_later_workers() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let tools = place.live_broker().broadcast().expect("Celery's tools");
    let ids: Vec<String> = (0..3).map(|number| format!("id-{number}")).collect();
    tools.keep_revoked(&ids).expect("kept");
    tools.keep_revoked(&ids[1..2]).expect("kept again");
    let known = place.live_broker().broadcast().expect("Celery's tools").kept_revoked().expect("asked");
    assert_eq!(known.len(), 3);
    assert!(ids.iter().all(|id| known.contains(id)), "{known:?}");
}

#[test]
fn what_a_python_worker_answers_is_a_result_here() {
    if !rabbit_is_here() {
        return;
    }
    let place = RabbitPlace::shared();
    let broker = place.live_broker();
    let id = format!("call-{}", stdx::random::hex::<6>());
    let call = Call { args: vec![json!(1)], kwargs: Map::new(), embed: Embed::default() };
    let options = JobOptions { is_call: true, keeps_result: true, ..JobOptions::default() };
    let job = NewJob { options, ..NewJob::new(JobId::new(&id), "python.add", "celery", call.to_payload()) };
    wait_for(broker.publish(vec![job])).expect("kept");
    assert_eq!(broker.result(&JobId::new(&id)).expect("asked"), None);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let url = format!("{}%2f", place.url);
        let python = Connection::connect(&url, ConnectionProperties::default()).await.expect("the server answers");
        let channel = python.create_channel().await.expect("a channel");
        channel.confirm_select(ConfirmSelectOptions::default()).await.expect("confirms");
        for (answered, body) in [("garbage", "{"), (&*id, r#"{"status":"SUCCESS","result":3,"traceback":null}"#)] {
            let properties = BasicProperties::default().with_correlation_id(answered.into());
            let queue = format!("{}:replies", place.prefix);
            let options = BasicPublishOptions::default();
            let sent = channel.basic_publish("".into(), queue.as_str().into(), options, body.as_bytes(), properties);
            sent.await.expect("sent").await.expect("confirmed");
        }
    });
    let result = broker.result(&JobId::new(&id)).expect("asked");
    assert_eq!(result, Some(JobResult::Success { value: json!(3) }));
    broker.purge("celery", &mut unaccounted).expect("purged");
}

#[test]
fn ends_from_many_threads_cost_no_connection_and_lose_no_message() {
    const JOBS: u64 = 3_000;
    if !rabbit_is_here() {
        return;
    }
    let broker = RabbitPlace::shared().live_broker();
    let jobs = (0..JOBS).map(|number| job(&format!("n{number}"))).collect();
    wait_for(broker.publish(jobs)).expect("kept");
    let (done, began) = (AtomicU64::new(0), Instant::now());
    let running: Mutex<Vec<LeaseId>> = Mutex::default();
    std::thread::scope(|scope| {
        // As a worker's keeper does, whatever ends at that moment.
        scope.spawn(|| {
            while done.load(Ordering::SeqCst) < JOBS && began.elapsed() < WAIT_MAX {
                let leases = running.lock().expect("nobody panicked").clone();
                broker.extend(&leases, LEASE).expect("extended");
            }
        });
        for number in 0..4 {
            let (broker, done, running) = (&broker, &done, &running);
            scope.spawn(move || {
                while done.load(Ordering::SeqCst) < JOBS && began.elapsed() < WAIT_MAX {
                    // Ends of a few, in no order that the others know; some go back first.
                    let jobs = claim_from(broker, &["q"], 5 + number);
                    running.lock().expect("nobody panicked").extend(jobs.iter().map(|job| job.lease));
                    for (index, job) in jobs.into_iter().enumerate() {
                        let is_back = index % 5 == 4 && job.lease.0 % 2 == 0;
                        let later = Finish::GiveBack { after: Duration::ZERO };
                        let finish = if is_back { later } else { Finish::Done };
                        assert!(
                            broker.finish(vec![(job.lease, finish)]).expect("ended").is_empty(),
                            "a lease was lost"
                        );
                        running.lock().expect("nobody panicked").retain(|lease| *lease != job.lease);
                        done.fetch_add(u64::from(!is_back), Ordering::SeqCst);
                    }
                }
            });
        }
    });
    assert_eq!(done.load(Ordering::SeqCst), JOBS);
    assert!(broker.depths().expect("counted").iter().all(|depth| depth.ready + depth.leased == 0));
}

#[test]
fn tls_is_checked_against_an_authority_of_ones_own() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    if !rabbit_is_here() || !certificates(folder.path()) {
        println!("skipped: openssl is not installed");
        return;
    }
    let server = RabbitServer::start_with_tls(folder.path());
    let path = |name: &str| folder.path().join(name).display().to_string();
    let about = |host: &str, options: &str| {
        let address = format!("amqps://guest:guest@{host}:{}/?{options}", server.port);
        Amqp::probe(AmqpConfig::parse(&address, folder.path().join("queue.db")).expect("an address"))
    };
    let client = format!("ssl_certfile={}&ssl_keyfile={}", path("s.pem"), path("s.key"));
    let ours = format!("ssl_ca_certs={}&{client}", path("ca.pem"));
    // It listens a little earlier than it lets anybody in.
    let began = Instant::now();
    let mut trusted = about("localhost", &ours);
    while trusted.is_err() && began.elapsed() < WAIT_MAX {
        trusted = about("localhost", &ours);
    }
    assert!(trusted.expect("it is trusted").alarm.is_none());
    assert!(about("localhost", &client).is_err(), "the machine's authorities do not know it");
    assert!(about("127.0.0.1", &ours).is_err(), "the name is another");
    assert!(about("localhost", &format!("ssl_ca_certs={}", path("ca.pem"))).is_err(), "the server wants to see ours");
}
