//! What `sealprove top` shows, as lines of text: whatever there is, no more than fits on a screen.

use super::{ServiceView, View};
use crate::operator::overview::{Overview, Queue, TenantQueues};
use crate::protocol::{Lane, UnixSeconds};
use crate::service::status::{BusySlot as Seat, ListedKey, Snapshot as Top};

/// The screen that everything is readable on.
pub(super) const WIDTH: usize = 80;
pub(super) const HEIGHT: usize = 24;

/// The lines that stand whatever there is: title, five headings, four empty ones between.
const FIXED: usize = 10;
/// How many rows a section gets on the smallest screen; keys get what these leave.
const TENANTS: usize = 3;
const SEATS: usize = 4;
const CODES: usize = 2;

pub(super) fn lines(view: &View, width: usize, height: usize) -> Vec<String> {
    let spare = height.max(HEIGHT) - HEIGHT;
    let mut lines = vec![title(view)];
    lines.extend(queues(&view.broker, TENANTS + spare / 3));
    lines.push(String::new());
    let (mut seats, mut answers, mut keys) = (Vec::new(), Vec::new(), Vec::new());
    for service in &view.services {
        seats.extend(slots(service));
    }
    cut(&mut seats, 1 + SEATS + spare / 3);
    let tops: Vec<&Top> = view.services.iter().filter_map(|service| service.top.as_ref().ok()).collect();
    answers.extend(answered(&tops, width));
    cut(&mut answers, 1 + CODES);
    if let Some(first) = tops.first() {
        keys.extend(listed_keys(first, view.at));
    }
    cut(&mut keys, height.max(HEIGHT) - FIXED - TENANTS - SEATS - CODES - 2 * (spare / 3) + 1);
    for section in [seats, answers, keys] {
        lines.extend(section);
        lines.push(String::new());
    }
    lines.extend(troubles(&view.broker));
    lines.truncate(height.max(HEIGHT));
    lines.iter().map(|line| fitted(line, width)).collect()
}

/// No more than so many lines; the last says how many more there are.
fn cut(lines: &mut Vec<String>, most: usize) {
    if lines.len() > most {
        let more = lines.len() - most + 1;
        lines.truncate(most - 1);
        lines.push(format!("  and {more} more"));
    }
}

fn fitted(line: &str, width: usize) -> String {
    if line.chars().count() <= width {
        return line.trim_end().to_owned();
    }
    line.chars().take(width - 1).chain(['…']).collect()
}

fn title(view: &View) -> String {
    let at = view.at.to_rfc3339();
    let deployment = view.services.iter().find_map(|service| Some(&service.top.as_ref().ok()?.deployment));
    let deployment = deployment.map_or("no service", |deployment| deployment.as_str());
    format!("sealprove top   {deployment}   {at}")
}

fn queues(broker: &Result<Overview, String>, most: usize) -> Vec<String> {
    let mut lines = vec![format!(
        "{:<24} {:>9} {:>9} {:>9} {:>9} {:>9}",
        "QUEUES", "express", "in work", "standard", "in work", "answers"
    )];
    let Ok(overview) = broker else {
        lines.push("  not known: the broker cannot be asked".to_owned());
        return lines;
    };
    let mut tenants: Vec<&TenantQueues> = overview.tenants.iter().collect();
    tenants.sort_by_key(|tenant| std::cmp::Reverse(tenant.jobs()));
    lines.extend(tenants.iter().map(|tenant| tenant_row(tenant)));
    cut(&mut lines, 1 + most);
    lines
}

fn tenant_row(tenant: &TenantQueues) -> String {
    let TenantQueues { tenant, express, standard, answers_filled } = tenant;
    let number = |number: Option<u64>| number.map_or("?".to_owned(), |number| number.to_string());
    let of = |queue: &Queue| format!("{:>9} {:>9}", number(queue.waiting), number(queue.in_work));
    let name = short(tenant.as_str(), 22);
    format!("  {name:<22} {} {} {:>7.0} %", of(express), of(standard), answers_filled * 100.0)
}

fn slots(service: &ServiceView) -> Vec<String> {
    let ServiceView { admin, top } = service;
    let top = match top {
        Ok(top) => top,
        Err(error) => return vec![format!("SLOTS  {admin}: {error}")],
    };
    let state = if top.missing.is_empty() { "ready".to_owned() } else { top.missing.join("; ") };
    let up = duration(top.up_seconds * 1000);
    let mut lines =
        vec![format!("SLOTS  {} of {} busy   {admin}, up {up}, {state}", top.busy.len(), top.slots)];
    let mut busy: Vec<&Seat> = top.busy.iter().collect();
    busy.sort_by_key(|seat| std::cmp::Reverse(seat.elapsed_ms));
    lines.extend(busy.iter().map(|seat| seat_row(seat)));
    lines
}

fn seat_row(seat: &Seat) -> String {
    let lane = match seat.lane {
        Lane::Express => "express",
        Lane::Standard => "standard",
    };
    let (circuit, tenant) = (short(seat.circuit.as_str(), 18), short(seat.tenant.as_str(), 12));
    let expected = seat.expected_ms.map_or("?".to_owned(), duration);
    let attempt = if seat.attempt > 1 { format!("try {}", seat.attempt) } else { String::new() };
    let elapsed = duration(seat.elapsed_ms);
    format!("  {circuit:<18} {tenant:<12} {lane:<8} {attempt:<6} {elapsed:>8} of {expected:<8}{}", bar(seat))
}

/// How far a proof should be, in eight steps.
fn bar(seat: &Seat) -> String {
    let Some(expected) = seat.expected_ms.filter(|expected| *expected > 0) else { return String::new() };
    let done = (seat.elapsed_ms.saturating_mul(8) / expected).min(8) as usize;
    format!("{}{}", "#".repeat(done), "-".repeat(8 - done))
}

fn answered(tops: &[&Top], width: usize) -> Vec<String> {
    let (total, last): (u64, u64) =
        tops.iter().fold((0, 0), |(total, last), top| (total + top.answered, last + top.last_minute));
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

fn listed_keys(top: &Top, now: UnixSeconds) -> Vec<String> {
    let left = |until: UnixSeconds| match until.0.checked_sub(now.0) {
        Some(left) => format!("{} left", duration(left * 1000)),
        None => "OVER".to_owned(),
    };
    let mut lines = vec![format!("KEYS  bundle {}, {}", top.bundle_serial, left(top.bundle_expires_at))];
    let row = |key: &ListedKey| {
        let (state, until) = match () {
            () if now < key.seal_from => (
                "pending",
                format!("from {} on", duration(crate::protocol::millis(key.seal_from.since(now)))),
            ),
            () if now < key.seal_until => ("active", left(key.seal_until)),
            () => ("retired", format!("opens, {}", left(key.open_until))),
        };
        format!("  {:<14} {:<7} {state:<8} {until}", short(key.id.as_str(), 13), key.scheme.as_str())
    };
    lines.extend(top.keys.iter().map(row));
    lines
}

fn troubles(broker: &Result<Overview, String>) -> Vec<String> {
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
            let server = short(server, 12);
            vec![format!("BROKER  {server} {version}, answers in {answers_in:.1} ms; {state}")]
        }
    }
}

fn short(text: &str, most: usize) -> String {
    fitted(text, most)
}

/// `0.4 s`, `12 min`, `3 h`, `28 d`.
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

    fn seat(number: u64) -> Seat {
        Seat {
            tenant: format!("tenant-with-a-very-long-name-{number}").parse().unwrap(),
            circuit: "a-circuit-with-a-name-as-long-as-any-may-be-v1".parse().unwrap(),
            lane: Lane::Standard,
            attempt: 19,
            elapsed_ms: 7_000_000 + number,
            expected_ms: Some(6_900_000),
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
        let top = Top {
            program: "0.1.0".to_owned(),
            deployment: "production".parse().unwrap(),
            up_seconds: 5000,
            missing: vec!["the broker does not answer".to_owned(); 5],
            slots: 64,
            busy: (0..64).map(seat).collect(),
            answered: u64::MAX / 4,
            last_minute: 60_000,
            codes: Code::ALL.iter().map(|code| Count { code: *code, count: 1_000_000 }).collect(),
            bundle_serial: 1_800_000_000,
            bundle_expires_at: UnixSeconds(1_800_000_000),
            keys: (0..40).map(key).collect(),
        };
        let queue = Queue { waiting: Some(99_999_999), in_work: None };
        let tenant = |n: u64| TenantQueues {
            tenant: seat(n).tenant,
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
    fn however_much_there_is_it_fits_and_has_every_section() {
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
    fn a_row_of_a_slot_is_never_cut() {
        let row = seat_row(&seat(9));
        assert!(row.ends_with(" of 115 min ########") && row.chars().count() <= WIDTH, "{row}");
        let unknown = seat_row(&Seat { expected_ms: None, attempt: 1, ..seat(9) });
        assert!(unknown.trim_end().ends_with(" of ?"), "{unknown}");
    }

    #[test]
    fn what_cannot_be_asked_is_said() {
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
