//! The alerts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{page, selectors, text_of, yaml};

const RULES: &str = "monitoring/alerts.yaml";
const CASES: &str = "monitoring/alerts_test.yaml";
const RUNBOOK: &str = "docs/OPERATING.md";

/// All alerts, of all groups.
fn alerts() -> Vec<Value> {
    let groups = yaml(RULES)["groups"].as_array().expect("groups").clone();
    let alerts: Vec<Value> =
        groups.iter().flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect();
    assert!(alerts.len() > 30, "{} alerts", alerts.len());
    alerts
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

#[test]
fn every_alert_selects_existing_series() {
    let families = page::all();
    for alert in alerts() {
        let problems = selectors::problems(text(&alert, "expr"), &families);
        assert!(problems.is_empty(), "{}: {problems:?}", text(&alert, "alert"));
    }
}

#[test]
fn every_alert_states_severity_summary_and_runbook() {
    let names: Vec<String> = alerts().iter().map(|alert| text(alert, "alert").to_owned()).collect();
    assert_eq!(names.iter().collect::<BTreeSet<_>>().len(), names.len(), "an alert stands twice");
    for alert in alerts() {
        let name = text(&alert, "alert");
        assert!(matches!(text(&alert["labels"], "severity"), "critical" | "warning"), "{name}");
        for annotation in ["summary", "description"] {
            let said = text(&alert["annotations"], annotation);
            assert!(said.ends_with('.') && said.len() > 20, "{name}: {said}");
        }
        let anchor = format!("{RUNBOOK}#{}", name.to_ascii_lowercase());
        assert_eq!(text(&alert["annotations"], "runbook_url"), anchor);
    }
}

#[test]
fn every_alert_has_its_paragraph_and_every_paragraph_its_alert() {
    let runbook = text_of(RUNBOOK);
    let paragraphs: Vec<&str> = runbook
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .filter(|name| name.starts_with("Sealprove"))
        .collect();
    let alerts = alerts();
    let alerts: Vec<&str> = alerts.iter().map(|alert| text(alert, "alert")).collect();
    assert_eq!(paragraphs, alerts, "in {RUNBOOK} they stand in the order of {RULES}");
}

/// For each there is a moment in which it fires, and one in which it does not.
#[test]
fn every_alert_has_a_case() {
    let cases = yaml(CASES);
    let cases: Vec<&Value> = cases["tests"]
        .as_array()
        .expect("tests")
        .iter()
        .flat_map(|case| case["promql_expr_test"].as_array().expect("expressions"))
        .collect();
    for alert in alerts() {
        let name = format!("alertname=\"{}\"", text(&alert, "alert"));
        let of_alert = cases.iter().filter(|case| text(case, "expr").contains(&name));
        let fires: BTreeSet<bool> =
            of_alert.map(|case| !case["exp_samples"].as_array().expect("samples").is_empty()).collect();
        assert_eq!(fires, BTreeSet::from([false, true]), "{name} in {CASES}");
    }
}

/// Durations in the unit that reads best, so that `make monitoring` can run sixty times as fast.
#[test]
fn durations_are_whole_minutes_or_hours() {
    for alert in alerts() {
        let windows = text(&alert, "expr").split('[').skip(1).filter_map(|rest| rest.split(']').next());
        for duration in windows.chain(alert["for"].as_str()) {
            let (number, unit) = duration.split_at(duration.len() - 1);
            assert!(number.parse::<u32>().is_ok() && matches!(unit, "m" | "h"), "{alert}");
        }
    }
}

/// For clusters that have the Prometheus operator, the same rules are an object. `UPDATE_RENDERED=1 make k8s` makes it.
#[test]
fn the_prometheus_operators_object_has_the_same_rules() {
    assert_eq!(yaml("k8s/components/monitoring/prometheusrule.yaml")["spec"], yaml(RULES));
}
