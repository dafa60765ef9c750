//! Places of the private key in memory.

use std::fs::File;
use std::os::unix::fs::FileExt;

use sealprove::frame::End;
use serde_json::json;

use super::harness::{Chamber, report};

const PIECE_BYTES: usize = 256 * 1024;

/// Returns the number of times `needle` stands in the memory of another process; `None` if it may not be read.
fn find_in(pid: u32, needle: &[u8]) -> Option<usize> {
    let memory = File::open(format!("/proc/{pid}/mem")).ok()?;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mut piece = vec![0; PIECE_BYTES];
    let mut found = 0;
    for line in maps.lines().filter(|line| line.contains(" r")) {
        let (from, to) = line.split_once(' ').unwrap().0.split_once('-').unwrap();
        let address = |text| u64::from_str_radix(text, 16).unwrap();
        let step = PIECE_BYTES - needle.len() + 1;
        for at in (address(from)..address(to)).step_by(step) {
            let length = PIECE_BYTES.min(usize::try_from(address(to) - at).unwrap());
            // Pages of the kernel's own cannot be read.
            let read = memory.read_at(&mut piece[..length], at).unwrap_or(0);
            found += piece[..read].windows(needle.len()).filter(|window| *window == needle).count();
        }
    }
    Some(found)
}

#[test]
fn a_job_has_no_key_in_its_memory_when_it_checks_its_witness() {
    let mut chamber = Chamber::unlocked();
    let needle = hex::encode(chamber.key.expose());
    let decoy =
        hex::encode(sealprove::protocol::generate_key(sealprove::protocol::Scheme::X25519).0.expose());
    for _ in 0..3 {
        let mut sent = chamber.start_job("probes-v1", &json!({"needle": needle, "decoy": decoy}));
        let found = report(sent.answer().0)["found"].clone();
        println!("{found}");
        assert!(found["bytes"].as_u64().unwrap() > 1_000_000, "{found}");
        assert!(found["decoy"].as_u64().unwrap() >= 1, "what is there is found: {found}");
        assert_eq!(found["needle"], 0, "{found}");
        assert_eq!(chamber.end_of(sent.ticket), End::Answered);
    }
}

/// The same from outside, where the control is the chamber itself. Only root may look.
#[test]
fn the_chamber_keeps_a_key_in_one_place_and_a_job_in_none() {
    let mut chamber = Chamber::start();
    let key = *chamber.key.expose();
    let Some(in_chamber) = find_in(chamber.pid(), &key) else {
        return eprintln!("not root: nothing was looked at");
    };
    assert_eq!(in_chamber, 1);

    let sent = chamber.start_job("sleeps-v1", &json!({"check_ms": 60_000}));
    let job = chamber.pid_of(sent.ticket).cast_unsigned();
    super::harness::wait_until("the job forgets its key", || (find_in(job, &key) == Some(0)).then_some(()));
    chamber.prove("sleeps-v1", &json!({}));
    assert_eq!(find_in(chamber.pid(), &key), Some(1));
}

#[test]
fn no_secret_of_a_job_remains_in_the_chamber() {
    let mut chamber = Chamber::start();
    let secret =
        hex::encode(sealprove::protocol::generate_key(sealprove::protocol::Scheme::X25519).0.expose());
    let witness = json!({"secret": secret, "ms": 60_000});
    let sent = chamber.start_job("sleeps-v1", &witness);
    let job = chamber.pid_of(sent.ticket).cast_unsigned();
    let Some(_) = find_in(job, secret.as_bytes()) else {
        return eprintln!("not root: nothing was looked at");
    };
    super::harness::wait_until("the job opens its witness", || {
        find_in(job, secret.as_bytes()).filter(|found| *found > 0)
    });
    assert_eq!(find_in(chamber.pid(), secret.as_bytes()), Some(0));

    let ticket = sent.ticket;
    drop(sent);
    assert_eq!(chamber.end_of(ticket), End::Dropped);
    assert_eq!(find_in(chamber.pid(), secret.as_bytes()), Some(0));
}
