//! Slots are shared by weight, however many jobs one tenant has queued; and hundreds of tenants without jobs
//! cost the others little.

use std::time::{Duration, Instant};

use sealprove::client::{Client, SubmitOptions};
use sealprove::protocol::Code;
use serde_json::json;

use super::deployment::tenant;
use crate::kit::{Lab, PATIENCE, Setup, eventually};

const SLEEPS: &str = "sleeps-v1";
/// Duration of a job in its own process, in milliseconds.
const JOB_MS: u64 = 20;
/// The share of the tenant that comes late, as against 1 of the one whose queue is long.
const WEIGHT: usize = 3;
const SLOTS: usize = 2;

/// Returns the number of jobs in the long queue; `make fairness` sets it to 5000.
fn queued() -> usize {
    std::env::var("QUEUED").map_or(400, |jobs| jobs.parse().expect("QUEUED is a number of jobs"))
}

async fn client(lab: &Lab, name: &str) -> Client {
    lab.client_as(|config| config.tenant = tenant(name)).await
}

/// Submits so many jobs, and says when the first was acknowledged.
async fn submit(lab: &Lab, name: &str, jobs: usize) -> Duration {
    let (client, bundle, circuit) = (client(lab, name).await, lab.bundle(), SLEEPS.parse().unwrap());
    let witness = json!({ "ms": JOB_MS }).to_string();
    let options = SubmitOptions { lifetime: Duration::from_secs(6 * 3600), ..SubmitOptions::default() };
    let mut first = None;
    for _ in 0..jobs {
        let sealed = client.seal(&bundle, &circuit, witness.as_bytes(), &options).unwrap();
        client.publish(&sealed, options.patience, |_, _| {}).await.unwrap();
        first.get_or_insert_with(now);
    }
    first.expect("at least one job")
}

/// As the broker's timestamps have it, on this same machine.
fn now() -> Duration {
    std::time::UNIX_EPOCH.elapsed().expect("a clock after 1970")
}

/// Returns the times at which the answers of a tenant were stored, in their order.
async fn answered(lab: &Lab, name: &str) -> Vec<Duration> {
    let stream = lab.stream(&format!("PROVE_ANSWERS_{name}")).await;
    let mut times = Vec::new();
    for sequence in 1..=stream.cached_info().state.last_sequence {
        let message = stream.get_raw_message(sequence).await.expect("no answer is ever removed");
        assert_eq!(message.headers.get("Sealprove-Code").map(|code| code.as_str()), Some(Code::Ok.as_str()));
        let nanoseconds = u64::try_from(message.time.unix_timestamp_nanos()).expect("after 1970");
        times.push(Duration::from_nanos(nanoseconds));
    }
    times
}

async fn answers(lab: &Lab, name: &str) -> usize {
    let stream = lab.stream(&format!("PROVE_ANSWERS_{name}")).await;
    usize::try_from(stream.cached_info().state.messages).expect("a number of answers")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_queue_delays_no_other_tenant_and_shares_follow_weights() {
    let tables = format!("[tenants.hog]\n[tenants.late]\nweight = {WEIGHT}\n");
    let setup = Setup::rogue().limited(SLEEPS, "1m").slots(SLOTS).tenants(&tables);
    let lab = setup.start().await;
    submit(&lab, "hog", queued()).await;
    let service = lab.service().await;
    eventually("the long queue is served", async || (answers(&lab, "hog").await >= 20).then_some(())).await;

    // So many that the long queue outlasts them: at three jobs to one, a fifth of it would do.
    let late = queued() / 5 * 2;
    let submitted = submit(&lab, "late", late).await;
    eventually("the late tenant's jobs are answered", async || {
        (answers(&lab, "late").await == late).then_some(())
    })
    .await;
    let (of_hog, of_late) = (answered(&lab, "hog").await, answered(&lab, "late").await);

    let first = of_late[0];
    let before_first = of_hog.iter().filter(|at| (submitted..first).contains(*at)).count();
    // The submitting itself takes a while; from half-way on both surely had jobs queued, until the last was taken.
    let (from, until) = (of_late[late / 4], of_late[late - 2 * SLOTS]);
    let while_both = |times: &[Duration]| times.iter().filter(|at| (from..until).contains(*at)).count();
    let (hogs, lates) = (while_both(&of_hog), while_both(&of_late));
    #[allow(clippy::cast_precision_loss)] // A few thousand jobs.
    let ratio = lates as f64 / hogs as f64;
    println!(
        "{} jobs of hog (weight 1) queued, then {late} of late (weight {WEIGHT}), {SLOTS} slots:\n\
         late's first job was answered {:?} after it was submitted; {before_first} proofs of hog ended in between\n\
         while both had jobs queued: {hogs} of hog and {lates} of late were proved, 1 to {ratio:.2}",
        queued(),
        first - submitted,
    );
    assert!(before_first <= SLOTS + 1, "{before_first} proofs of the long queue went before");
    assert!((0.85..=1.15).contains(&(ratio / WEIGHT as f64)), "{ratio}");
    assert!(
        answers(&lab, "hog").await < queued(),
        "the long queue was empty too soon for this test to say anything"
    );
    drop(service);
}

/// Returns the number of tenants without a job.
fn idle() -> usize {
    std::env::var("TENANTS").map_or(60, |tenants| tenants.parse().expect("TENANTS is a number"))
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_tenants_slow_a_busy_one_little() {
    const JOBS: usize = 60;
    let mut took = Vec::new();
    for idle in [0, idle()] {
        let tables: String = (0..idle).map(|number| format!("[tenants.idle{number}]\n")).collect();
        let setup = Setup::rogue().limited(SLEEPS, "1m").tenants(&format!("[tenants.busy]\n{tables}"));
        // A broker sets aside what a stream may grow to.
        let setup = setup.streams("jobs_bytes_max = 8000000\nanswers_bytes_max = 8000000");
        let lab = setup.start().await;
        submit(&lab, "busy", JOBS).await;
        let service = lab.service().await;
        let started = Instant::now();
        while answers(&lab, "busy").await < JOBS {
            assert!(started.elapsed() < PATIENCE, "{} answers", answers(&lab, "busy").await);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        let times = answered(&lab, "busy").await;
        let each = (times[JOBS - 1] - times[0]) / (u32::try_from(JOBS).unwrap() - 1);
        // A tenant that was idle has its job answered at once, once there are no others.
        if idle > 0 {
            let submitted = submit(&lab, "idle0", 1).await;
            eventually("its job is answered", async || (answers(&lab, "idle0").await == 1).then_some(()))
                .await;
            println!(
                "{idle} idle tenants: the job of one took {:?}",
                answered(&lab, "idle0").await[0] - submitted
            );
        }
        println!("{idle} tenants without jobs: {each:?} for each job of the one that has {JOBS}");
        took.push(each);
        drop(service);
    }
    assert!(took[1] < took[0] * 2, "{took:?}");
}
