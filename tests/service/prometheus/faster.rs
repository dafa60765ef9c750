//! Rules and expressions, sixty times as fast: a minute becomes a second, and an hour a minute. That is all windows,
//! how long something must hold, and the numbers of seconds that are written as `30 * 60` or `24 * 3600`. What is no
//! time stays as it is: the rules that are tried are the rules that are shipped.

/// The text with all of its times.
pub(crate) fn faster(text: &str) -> String {
    let text = text.replace(" * 60", "").replace(" * 3600", " * 60");
    let mut faster = String::new();
    let mut rest = text.as_str();
    while let Some(at) = rest.find(['m', 'h']) {
        let (before, unit) = rest.split_at(at);
        let number = before.trim_end_matches(|c: char| c.is_ascii_digit());
        let (letter, after) = unit.split_at(1);
        let begins = number.ends_with('[') || number.ends_with("for: ");
        let is_duration = begins && number.len() < before.len() && after.starts_with(['\n', ']']);
        faster.push_str(before);
        faster.push_str(match (is_duration, letter) {
            (true, "m") => "s",
            (true, _) => "m",
            (false, letter) => letter,
        });
        rest = after;
    }
    faster + rest
}

/// Not by the test harness, which this program has none of: before anything else.
pub(crate) fn try_out() {
    for (slow, fast) in [
        ("        for: 15m\n", "        for: 15s\n"),
        (
            "sum(rate(sealprove_phase_seconds_sum[1h])) > 30 * 60\n",
            "sum(rate(sealprove_phase_seconds_sum[1m])) > 30\n",
        ),
        ("min(a) - time() < 7 * 24 * 3600\n", "min(a) - time() < 7 * 24 * 60\n"),
        ("description: For 5m of the 10h it holds.\n", "description: For 5m of the 10h it holds.\n"),
    ] {
        assert_eq!(faster(slow), fast);
    }
}
