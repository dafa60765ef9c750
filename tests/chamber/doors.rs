//! Connections that are not a job: closed, nothing forked, and the chamber lives.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use sealprove::frame::{self, ChamberEvent, End, ORDER_BYTES, Order};
use sealprove::protocol::Code;
use serde_json::json;

use super::harness::{Chamber, MEMORY_BYTES, is_alive, is_closed};

const QUIET: Duration = Duration::from_millis(300);

#[track_caller]
fn forked_nothing_and_lives(chamber: &mut Chamber) {
    let events = chamber.events_until_quiet(QUIET);
    assert!(!events.iter().any(|event| matches!(event, ChamberEvent::Started { .. })), "{events:?}");
    assert_eq!(chamber.prove("sleeps-v1", &json!({})).0.code(), Code::Ok);
}

#[test]
fn a_connection_without_an_order_is_closed() {
    let mut chamber = Chamber::start();
    let order = Order { ticket: 1, limit_ms: 1000, memory_bytes: MEMORY_BYTES, threads: 1 }.to_bytes();
    let changed = |index: usize, value: u8| {
        let mut order = order;
        order[index] = value;
        order
    };
    let not_orders = [
        [0; ORDER_BYTES],
        [0xff; ORDER_BYTES],
        // Magic; threads; reserved.
        changed(7, b'2'),
        changed(35, 0),
        changed(39, 1),
    ];
    for not_order in not_orders {
        let mut connection = chamber.connect().unwrap();
        connection.write_all(&not_order).unwrap();
        assert!(is_closed(&mut connection), "{not_order:?}");
    }
    forked_nothing_and_lives(&mut chamber);
}

#[test]
fn half_an_order_forks_nothing() {
    let mut chamber = Chamber::start();
    let order = Order { ticket: 1, limit_ms: 1000, memory_bytes: MEMORY_BYTES, threads: 1 }.to_bytes();
    for bytes in [0, 1, 8, ORDER_BYTES - 1] {
        let mut connection = chamber.connect().unwrap();
        connection.write_all(&order[..bytes]).unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        assert!(is_closed(&mut connection), "{bytes} bytes");
    }
    forked_nothing_and_lives(&mut chamber);
}

#[test]
fn an_order_may_come_in_pieces_and_the_rest_is_the_jobs() {
    let mut chamber = Chamber::start();
    let job = chamber.job("sleeps-v1", &json!({}));
    let order = Order { ticket: 99, limit_ms: 60_000, memory_bytes: MEMORY_BYTES, threads: 1 }.to_bytes();
    let frame = frame::encode(&job.head, &job.sealed.payload);
    let mut connection = chamber.connect().unwrap();
    for byte in &order[..ORDER_BYTES - 1] {
        connection.write_all(&[*byte]).unwrap();
        std::thread::sleep(Duration::from_millis(1));
    }
    connection.write_all(&[&order[ORDER_BYTES - 1..], &frame[..20]].concat()).unwrap();
    std::thread::sleep(Duration::from_millis(50));
    connection.write_all(&frame[20..]).unwrap();
    assert_eq!(chamber.end_of(99), End::Answered);
}

#[test]
fn a_silent_connection_is_closed_after_a_while_and_delays_no_other() {
    let mut chamber = Chamber::start();
    let started = Instant::now();
    let mut silent = chamber.connect().unwrap();
    let mut slow = chamber.connect().unwrap();
    slow.write_all(b"sealpro1").unwrap();

    // While they are waited for, others are served.
    for _ in 0..3 {
        assert_eq!(chamber.prove("sleeps-v1", &json!({})).1, End::Answered);
    }
    assert!(started.elapsed() < Duration::from_secs(5), "the machine is too slow for this test");

    // A byte now and then buys no time.
    slow.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    while started.elapsed() < Duration::from_secs(12) {
        if slow.write_all(&[0]).is_err() || slow.read(&mut [0]).is_ok() {
            break;
        }
    }
    println!("a slow order is closed after {:?}", started.elapsed());
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert!(is_closed(&mut silent));
    assert_eq!(chamber.prove("sleeps-v1", &json!({})).0.code(), Code::Ok);
}

#[test]
fn surplus_connections_are_closed_and_a_freed_place_is_reused() {
    let mut chamber = Chamber::with_jobs_max(2);
    let kept = [(); 2].map(|()| chamber.start_job("sleeps-v1", &json!({"ms": 60_000})));
    assert!(kept.iter().all(|job| is_alive(chamber.pid_of(job.ticket))));

    for _ in 0..10 {
        assert!(is_closed(&mut chamber.connect().unwrap()));
    }
    let started = |chamber: &mut Chamber| {
        let events = chamber.events_until_quiet(QUIET);
        events.iter().filter(|event| matches!(event, ChamberEvent::Started { .. })).count()
    };
    assert_eq!(started(&mut chamber), 2);

    let [dropped, _kept] = kept;
    let ticket = dropped.ticket;
    drop(dropped);
    assert_eq!(chamber.end_of(ticket), End::Dropped);
    assert_eq!(chamber.prove("sleeps-v1", &json!({})).1, End::Answered);
}

#[test]
fn an_order_followed_by_no_job_is_a_bad_frame() {
    let mut chamber = Chamber::start();
    let not_jobs: [&[u8]; 4] = [
        &[0xff; 64],
        // A body of 4 GiB; a head that is not JSON; one that is another.
        &[[0, 0, 0, 2], [0xff; 4]].concat(),
        &[&[0, 0, 0, 4, 0, 0, 0, 0][..], b"!!!!"].concat(),
        &[&[0, 0, 0, 2, 0, 0, 0, 0][..], b"{}"].concat(),
    ];
    for not_job in not_jobs {
        let (ticket, mut connection) = chamber.order_of(60_000, not_job);
        assert_eq!(chamber.end_of(ticket), End::BadFrame);
        assert!(is_closed(&mut connection));
    }
    assert_eq!(chamber.prove("sleeps-v1", &json!({})).0.code(), Code::Ok);
}
