//! The screen of `sealprove top`, as lines of text. It fits, however much there is to show.

use std::cmp::Reverse;

use console::truncate_str;

use super::view::{ServiceView, View};
use crate::operator::overview::{Overview, Queue, TenantQueues};
use crate::protocol::{Lane, UnixSeconds, millis};
use crate::service::status::{BusySlot, ListedKey, Snapshot};

/// The smallest screen, in columns and lines.
pub(super) const WIDTH: usize = 80;
pub(super) const HEIGHT: usize = 24;

/// Lines that are always there: the title, five headings, and four empty lines between.
const FIXED: usize = 10;
/// Rows of a section on the smallest screen. The keys get the rest.
const TENANTS: usize = 3;
const SLOTS: usize = 4;
const CODES: usize = 2;

/// Lays a view out on a screen.
pub(super) fn lines(view: &View, width: usize, height: usize) -> Vec<String> {
    let height = height.max(HEIGHT);
    // A taller screen gives a third of its extra lines each to tenants, slots and keys.
    let extra = (height - HEIGHT) / 3;
    let (tenants, slots) = (TENANTS + extra, SLOTS + extra);
    let keys = height - FIXED - tenants - slots - CODES;
    let tops: Vec<&Snapshot> = view.services.iter().filter_map(|service| service.top.as_ref().ok()).collect();
    let sections = [
        queue_section(&view.broker, tenants),
        cut(view.services.iter().flat_map(slot_section).collect(), 1 + slots),
        cut(answer_section(&tops, width), 1 + CODES),
        cut(tops.first().map(|top| key_section(top, view.at)).unwrap_or_default(), 1 + keys),
        broker_section(&view.broker),
    ];
    let mut lines = vec![title(view)];
    lines.extend(sections.join(&String::new()));
    lines.truncate(height);
    lines.iter().map(|line| truncate_str(line.trim_end(), width, "…").into_owned()).collect()
}

/// Cuts lines down to `most`. The last line then tells how many are left out.
fn cut(mut lines: Vec<String>, most: usize) -> Vec<String> {
    if lines.len() > most {
        let more = lines.len() - most + 1;
        lines.truncate(most - 1);
        lines.push(format!("  and {more} more"));
    }
    lines
}

fn title(view: &View) -> String {
    let at = view.at.to_rfc3339();
    let deployment = view.services.iter().find_map(|service| Some(&service.top.as_ref().ok()?.deployment));
    let deployment = deployment.map_or("no service", |deployment| deployment.as_str());
    format!("sealprove top   {deployment}   {at}")
}

fn queue_section(broker: &Result<Overview, String>, most: usize) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<24} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "QUEUES", "express", "in work", "standard", "in work", "answers"
    )];
    let Ok(overview) = broker else {
        lines.push("  not known: the broker cannot be asked".to_owned());
        return lines;
    };
    let mut tenants: Vec<&TenantQueues> = overview.tenants.iter().collect();
    tenants.sort_by_key(|tenant| Reverse(tenant.jobs()));
    lines.extend(tenants.into_iter().map(tenant_row));
    cut(lines, 1 + most)
}

fn tenant_row(tenant: &TenantQueues) -> String {
    let TenantQueues { tenant, express, standard, answers_filled } = tenant;
    let name = truncate_str(tenant.as_str(), 22, "…");
    let (express, standard, filled) = (lane_columns(express), lane_columns(standard), answers_filled * 100.0);
    format!("  {name:<22} {express} {standard} {filled:>7.0} %")
}

fn lane_columns(queue: &Queue) -> String {
    let [waiting, in_work] = [queue.waiting, queue.in_work]
        .map(|number| number.map_or_else(|| "?".to_owned(), |number| number.to_string()));
    format!("{waiting:>9} {in_work:>9}")
}

fn slot_section(service: &ServiceView) -> Vec<String> {
    let ServiceView { admin, top } = service;
    let top = match top {
        Ok(top) => top,
        Err(error) => return vec![format!("SLOTS  {admin}: {error}")],
    };
    let state = if top.missing.is_empty() { "ready".to_owned() } else { top.missing.join("; ") };
    let up = duration(top.up_seconds * 1000);
    let mut lines =
        vec![format!("SLOTS  {} of {} busy   {admin}, up {up}, {state}", top.busy.len(), top.slots)];
    let mut busy: Vec<&BusySlot> = top.busy.iter().collect();
    busy.sort_by_key(|slot| Reverse(slot.elapsed_ms));
    lines.extend(busy.into_iter().map(slot_row));
    lines
}

fn slot_row(slot: &BusySlot) -> String {
    let lane = match slot.lane {
        Lane::Express => "express",
        Lane::Standard => "standard",
    };
    let circuit = truncate_str(slot.circuit.as_str(), 18, "…");
    let tenant = truncate_str(slot.tenant.as_str(), 12, "…");
    let expected = slot.expected_ms.map_or("?".to_owned(), duration);
    let attempt = if slot.attempt > 1 { format!("try {}", slot.attempt) } else { String::new() };
    let elapsed = duration(slot.elapsed_ms);
    format!("  {circuit:<18} {tenant:<12} {lane:<8} {attempt:<6} {elapsed:>8} of {expected:<8}{}", bar(slot))
}

/// Draws the expected progress of a proof, in eight steps.
fn bar(slot: &BusySlot) -> String {
    let Some(expected) = slot.expected_ms.filter(|expected| *expected > 0) else { return String::new() };
    let done = (slot.elapsed_ms.saturating_mul(8) / expected).min(8) as usize;
    format!("{}{}", "#".repeat(done), "-".repeat(8 - done))
}

fn answer_section(tops: &[&Snapshot], width: usize) -> Vec<String> {
    let total: u64 = tops.iter().map(|top| top.answered).sum();
    let last: u64 = tops.iter().map(|top| top.last_minute).sum();
    let mut lines = vec![format!("ANSWERED  {total} since start, {last} in the last minute")];
    let mut codes: Vec<(&str, u64)> = Vec::new();
    for count in tops.iter().flat_map(|top| &top.codes) {
        match codes.iter_mut().find(|(code, _)| *code == count.code.as_str()) {
            Some((_, known)) => *known += count.count,
            None => codes.push((count.code.as_str(), count.count)),
        }
    }
    let mut line = String::from(" ");
    for (code, count) in codes {
        let next = format!(" {code} {count} ");
        if line.len() + next.len() > width && line.len() > 1 {
            lines.push(std::mem::replace(&mut line, String::from(" ")));
        }
        line.push_str(&next);
    }
    lines.push(line);
    lines
}

fn key_section(top: &Snapshot, now: UnixSeconds) -> Vec<String> {
    let expires = left(top.bundle_expires_at, now);
    let mut lines = vec![format!("KEYS  bundle {}, {expires}", top.bundle_serial)];
    lines.extend(top.keys.iter().map(|key| key_row(key, now)));
    lines
}

fn key_row(key: &ListedKey, now: UnixSeconds) -> String {
    let (state, until) = if now < key.seal_from {
        ("pending", format!("from {} on", duration(millis(key.seal_from.since(now)))))
    } else if now < key.seal_until {
        ("active", left(key.seal_until, now))
    } else {
        ("retired", format!("opens, {}", left(key.open_until, now)))
    };
    let id = truncate_str(key.id.as_str(), 13, "…");
    format!("  {id:<14} {:<7} {state:<8} {until}", key.scheme.as_str())
}

/// Formats the time left until an end.
fn left(until: UnixSeconds, now: UnixSeconds) -> String {
    match until.0.checked_sub(now.0) {
        Some(left) => format!("{} left", duration(left * 1000)),
        None => "OVER".to_owned(),
    }
}

fn broker_section(broker: &Result<Overview, String>) -> Vec<String> {
    match broker {
        Err(error) => vec![format!("BROKER  {error}")],
        Ok(overview) => {
            let Overview { server, version, answers_in_us, streams, troubles, .. } = overview;
            let state = match &troubles[..] {
                [] => format!("{streams} streams, all copies current"),
                [trouble] => trouble.clone(),
                [first, more @ ..] => format!("{first}, and {} more", more.len()),
            };
            let answers_in = f64::from(u32::try_from(*answers_in_us).unwrap_or(u32::MAX)) / 1000.0;
            let server = truncate_str(server, 12, "…");
            vec![format!("BROKER  {server} {version}, answers in {answers_in:.1} ms; {state}")]
        }
    }
}

/// Formats a time: `0.4 s`, `12 min`, `3 h`, `28 d`.
fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0..10 => format!("{}.{} s", seconds, ms % 1000 / 100),
        10..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Code;
    use crate::service::status::Count;

    fn slot(number: u64) -> BusySlot {
        BusySlot {
            tenant: format!("tenant-with-a-very-long-name-{number}").parse().unwrap(),
            circuit: "a-circuit-with-a-name-as-long-as-any-may-be-v1".parse().unwrap(),
            lane: Lane::Standard,
            attempt: 19,
            elapsed_ms: 7_000_000 + number,
            expected_ms: Some(6_900_000),
            pid: Some(4_194_304),
        }
    }

    fn crowded() -> View {
        let id = "00112233445566778899aabbccddeeff";
        let key = |n: u64| ListedKey {
            id: id.parse().unwrap(),
            scheme: crate::protocol::Scheme::XWing,
            seal_from: UnixSeconds(n),
            seal_until: UnixSeconds(1_800_000_000 + n * 86_400),
            open_until: UnixSeconds(1_900_000_000),
        };
        let top = Snapshot {
            program: "0.1.0".to_owned(),
            deployment: "production".parse().unwrap(),
            up_seconds: 5000,
            missing: vec!["the broker does not answer".to_owned(); 5],
            slots: 64,
            busy: (0..64).map(slot).collect(),
            self_tests: Vec::new(),
            answered: u64::MAX / 4,
            last_minute: 60_000,
            codes: Code::ALL.iter().map(|code| Count { code: *code, count: 1_000_000 }).collect(),
            bundle_serial: 1_800_000_000,
            bundle_expires_at: UnixSeconds(1_800_000_000),
            keys: (0..40).map(key).collect(),
        };
        let queue = Queue { waiting: Some(99_999_999), in_work: None };
        let tenant = |n: u64| TenantQueues {
            tenant: slot(n).tenant,
            express: queue,
            standard: queue,
            answers_filled: 1.0,
        };
        let broker = Overview {
            server: "n".repeat(60),
            version: "2.14.5".to_owned(),
            answers_in_us: 1234,
            tenants: (0..50).map(tenant).collect(),
            streams: 100,
            troubles: vec!["PROVE_JOBS_default: 2 of 3 copies are current".to_owned(); 9],
        };
        let admin = "127.0.0.1:9464".parse().unwrap();
        let service = |top| ServiceView { admin, top };
        let services = vec![service(Ok(top.clone())), service(Ok(top)), service(Err("refused".to_owned()))];
        View { at: UnixSeconds(1_800_000_000), services, broker: Ok(broker) }
    }

    #[test]
    fn a_crowded_screen_fits_and_has_every_section() {
        for (width, height) in [(WIDTH, HEIGHT), (120, 50), (80, 10)] {
            let lines = lines(&crowded(), width, height);
            assert!(lines.len() <= height.max(HEIGHT), "{}:\n{}", lines.len(), lines.join("\n"));
            assert!(lines.iter().all(|line| line.chars().count() <= width), "{}", lines.join("\n"));
            for section in ["QUEUES", "SLOTS", "ANSWERED", "KEYS", "BROKER"] {
                assert!(
                    lines.iter().any(|line| line.starts_with(section)),
                    "{section}:\n{}",
                    lines.join("\n")
                );
            }
        }
    }

    #[test]
    fn a_slots_row_is_never_cut() {
        let row = slot_row(&slot(9));
        assert!(row.ends_with(" of 115 min ########") && row.chars().count() <= WIDTH, "{row}");
        let unknown = slot_row(&BusySlot { expected_ms: None, attempt: 1, ..slot(9) });
        assert!(unknown.trim_end().ends_with(" of ?"), "{unknown}");
    }

    #[test]
    fn a_source_that_does_not_answer_is_shown() {
        let down = |what: &str| Err(what.to_owned());
        let admin = "127.0.0.1:9464".parse().unwrap();
        let services = vec![ServiceView { admin, top: Err("connection refused".to_owned()) }];
        let view = View { at: UnixSeconds(0), services, broker: down("connect to the broker: refused") };
        let text = lines(&view, WIDTH, HEIGHT).join("\n");
        for said in ["not known: the broker cannot be asked", "9464: connection refused", "BROKER  connect"] {
            assert!(text.contains(said), "{text}");
        }
    }

    #[test]
    fn durations_are_short() {
        let shown = [0, 450, 9_999, 65_000, 600_000, 8 * 3_600_000, 30 * 86_400_000].map(duration);
        assert_eq!(shown, ["0.0 s", "0.4 s", "9.9 s", "65 s", "10 min", "8 h", "30 d"]);
    }
}
