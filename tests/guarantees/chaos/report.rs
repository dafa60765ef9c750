//! The results of a run, as tables.

use std::collections::BTreeMap;

use super::checker::Verdict;
use super::evidence::{Evidence, Stored};
use super::recovery::Times;
use super::schedule::Kind;

/// Prints everything but the broken promises.
pub(crate) fn print(verdict: &Verdict, evidence: &Evidence, recovery: &BTreeMap<String, Times>) {
    jobs(verdict, evidence);
    codes(verdict);
    faults(recovery);
    if !evidence.errors.is_empty() {
        println!("\nerrors in the services' logs");
        for (message, count) in &evidence.errors {
            println!("  {count:>6}  {message}");
        }
    }
}

fn jobs(verdict: &Verdict, evidence: &Evidence) {
    let again: usize = evidence.submissions.values().map(|job| job.again.len()).sum();
    let max_deliveries = |advisory: &&Stored| advisory.subject.contains("MAX_DELIVERIES");
    let given_up = evidence.advisories.messages.iter().filter(max_deliveries).count();
    let share = 100.0 * verdict.proved as f64 / verdict.must_be_proved.max(1) as f64;
    println!("\njobs");
    for (what, count) in [
        ("accepted", verdict.accepted),
        ("answered once", verdict.answered_once),
        ("answered twice", verdict.answered_twice),
        ("lost", verdict.lost),
        ("proofs made twice", verdict.proofs_made_twice),
        ("submitted again", again),
        ("not known to be accepted", verdict.unknown),
        ("  of these answered", verdict.unknown_answered),
        ("given up by deliveries", given_up),
    ] {
        println!("  {what:<26}{count:>8}");
    }
    println!(
        "  valid, uncancelled, unhurried: {} of {} proved ({share:.2} %)",
        verdict.proved, verdict.must_be_proved
    );
}

fn codes(verdict: &Verdict) {
    println!("\nanswers");
    for ((kind, code), count) in &verdict.codes {
        println!("  {:<12}{code:<26}{count:>6}", format!("{kind:?}").to_lowercase());
    }
}

fn faults(recovery: &BTreeMap<String, Times>) {
    println!(
        "\n{:<32}{:>6}{:>10}{:>10}{:>10}  recovery in seconds",
        "faults", "count", "p50", "p99", "worst"
    );
    for name in Kind::all().map(|kind| kind.to_string()) {
        let Some(times) = recovery.get(&name) else { continue };
        let seconds = |ms: Option<u64>| ms.map_or("-".to_owned(), |ms| format!("{:.1}", ms as f64 / 1000.0));
        let (p50, p99, worst) = (times.quantile(0.5), times.quantile(0.99), times.worst());
        let never = if times.never > 0 { format!("  never: {}", times.never) } else { String::new() };
        println!(
            "  {name:<30}{:>6}{:>10}{:>10}{:>10}{never}",
            times.count,
            seconds(p50),
            seconds(p99),
            seconds(worst)
        );
    }
}
