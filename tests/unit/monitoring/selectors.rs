//! The selectors of a PromQL expression: names of metrics, and matchers of their labels. Enough of the language to
//! hold our own expressions against our own metrics; a real Prometheus parses them in `make monitoring`.

use std::collections::{BTreeMap, BTreeSet};

use super::page::Family;

/// Labels that Prometheus adds to every series, and to those of histograms and alerts.
const ADDED: [&str; 4] = ["instance", "le", "alertname", "alertstate"];

/// One metric in an expression, with the matchers in its braces.
struct Selector<'a> {
    metric: &'a str,
    matchers: Vec<(&'a str, &'a str, &'a str)>,
}

/// Returns the metrics, labels and values of an expression that do not exist.
pub(crate) fn problems(expression: &str, families: &[Family]) -> Vec<String> {
    let selectors = selectors(expression);
    let mut problems: Vec<String> =
        selectors.iter().flat_map(|selector| selector.problems(families)).collect();
    if selectors.is_empty() {
        problems.push("it asks for no metric".to_owned());
    }
    let known: BTreeSet<&str> = families.iter().flat_map(Family::labels).chain(ADDED).collect();
    let unknown = grouped_by(expression).into_iter().filter(|label| !known.contains(label));
    problems.extend(unknown.map(|label| format!("no metric has the label {label}")));
    problems
}

fn selectors(expression: &str) -> Vec<Selector<'_>> {
    let starts = expression.match_indices("sealprove_");
    starts
        .map(|(at, _)| {
            let rest = &expression[at..];
            let end = rest.find(|c: char| c != '_' && !c.is_ascii_alphanumeric()).unwrap_or(rest.len());
            let (metric, rest) = rest.split_at(end);
            let braces = rest.strip_prefix('{').and_then(|rest| rest.split_once('}'));
            let matchers = braces.map_or("", |(matchers, _)| matchers).split(',').filter_map(matcher);
            Selector { metric, matchers: matchers.collect() }
        })
        .collect()
}

/// `label`, operator, value.
fn matcher(text: &str) -> Option<(&str, &str, &str)> {
    let at = text.find(['=', '!'])?;
    let (label, rest) = text.split_at(at);
    let quote = rest.find('"')?;
    Some((label.trim(), &rest[..quote], rest[quote + 1..].trim_end().trim_end_matches('"')))
}

/// The labels in all of an expression's `by (…)` and `on (…)`.
fn grouped_by(expression: &str) -> Vec<&str> {
    let lists = ["by (", "on ("].iter().flat_map(|word| expression.split(word).skip(1));
    let lists = lists.filter_map(|rest| rest.split_once(')').map(|(list, _)| list));
    lists.flat_map(|list| list.split(',').map(str::trim)).collect()
}

impl Selector<'_> {
    fn problems(&self, families: &[Family]) -> Vec<String> {
        let Some(family) = self.family(families) else {
            return vec![format!("there is no metric {}", self.metric)];
        };
        let mut problems = Vec::new();
        for (label, operator, value) in &self.matchers {
            if !family.labels().contains(label) {
                problems.push(format!("{} has no label {label}", self.metric));
            }
            let named = value.split('|').filter(|value| !matches!(*value, ".+" | "$circuit"));
            let lacks = |value: &&str| {
                !family.series.iter().any(|series| series.get(*label).is_some_and(|is| is == value))
            };
            problems.extend(
                named.filter(lacks).map(|value| format!("{} has no {label}{operator}{value}", self.metric)),
            );
        }
        if !family.series.iter().any(|series| self.takes(series)) {
            problems.push(format!("no series of {} is so", self.metric));
        }
        problems
    }

    /// A histogram is asked for by its parts.
    fn family<'a>(&self, families: &'a [Family]) -> Option<&'a Family> {
        families.iter().find(|family| {
            let is_part = |part: &str| self.metric.strip_suffix(part) == Some(family.name.as_str());
            match family.kind.as_str() {
                "histogram" => ["_bucket", "_sum", "_count"].iter().any(|part| is_part(part)),
                _ => self.metric == family.name,
            }
        })
    }

    fn takes(&self, series: &BTreeMap<String, String>) -> bool {
        self.matchers.iter().all(|(label, operator, value)| {
            let is = series.get(*label).map_or("", String::as_str);
            let is_one_of = value.split('|').any(|value| matches!(value, ".+" | "$circuit") || value == is);
            is_one_of != operator.starts_with('!')
        })
    }
}

#[test]
fn missing_metrics_labels_and_values_are_found() {
    let families = super::page::all();
    for (expression, problem) in [
        ("sum(sealprove_readiness)", "no metric sealprove_readiness"),
        ("sealprove_phase_seconds{phase=\"queued\"}", "no metric sealprove_phase_seconds"),
        ("sealprove_ready_bucket", "no metric sealprove_ready_bucket"),
        ("sealprove_jobs_total{code=\"OK\"}", "no label code"),
        ("sealprove_jobs_total{outcome=~\"proved|failled\"}", "no outcome=~failled"),
        ("sealprove_jobs_total{outcome!=\"done\"}", "no outcome!=done"),
        ("sum by (lain) (sealprove_queue_jobs)", "no metric has the label lain"),
        ("vector(0)", "asks for no metric"),
    ] {
        let problems = problems(expression, &families);
        assert!(problems.iter().any(|found| found.contains(problem)), "{expression}: {problems:?}");
    }
    let good =
        "sum by (le) (rate(sealprove_phase_seconds_bucket{phase=\"queued\", circuit=~\"$circuit\"}[5m])) > 0";
    assert_eq!(problems(good, &families), Vec::<String>::new());
}
