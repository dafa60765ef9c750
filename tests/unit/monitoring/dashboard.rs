//! The dashboard: what Grafana needs of it, and what a person does.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{page, selectors, text_of};

const DASHBOARD: &str = "dashboards/sealprove.json";
/// Grafana's grid.
const COLUMNS: u64 = 24;
/// Rows that fit on a screen without much scrolling.
const ROWS: u64 = 40;

fn dashboard() -> Value {
    serde_json::from_str(&text_of(DASHBOARD)).expect("JSON")
}

/// The panels that show something.
fn panels(dashboard: &Value) -> Vec<&Value> {
    let all = dashboard["panels"].as_array().expect("panels");
    let panels: Vec<&Value> = all.iter().filter(|panel| panel["type"] != "row").collect();
    assert!(panels.len() >= 15, "{} panels", panels.len());
    panels
}

fn targets(panel: &Value) -> &Vec<Value> {
    panel["targets"].as_array().expect("targets")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value:#}"))
}

#[test]
fn every_expression_selects_existing_series() {
    let (dashboard, families) = (dashboard(), page::all());
    for panel in panels(&dashboard) {
        for target in targets(panel) {
            let problems = selectors::problems(text(target, "expr"), &families);
            assert!(problems.is_empty(), "{}: {problems:?}", text(panel, "title"));
        }
    }
    let circuits = text(&dashboard["templating"]["list"][1], "definition");
    assert_eq!(selectors::problems(circuits, &families), Vec::<String>::new());
}

#[test]
fn every_panel_has_a_description_a_unit_and_thresholds() {
    for panel in panels(&dashboard()) {
        let title = text(panel, "title");
        assert!(matches!(text(panel, "type"), "stat" | "timeseries"), "{title}");
        assert!(text(panel, "description").ends_with('.'), "{title}");
        let defaults = &panel["fieldConfig"]["defaults"];
        let unit = text(defaults, "unit");
        assert!(["none", "s", "bytes", "ops", "percentunit"].contains(&unit), "{title}: {unit}");
        let steps = defaults["thresholds"]["steps"].as_array().expect("thresholds");
        assert!(steps[0]["value"].is_null(), "{title}: the first threshold has no value");
        let values: Vec<f64> =
            steps[1..].iter().map(|step| step["value"].as_f64().expect("a value")).collect();
        assert!(values.is_sorted(), "{title}: {values:?}");
        assert!(text(panel, "type") != "stat" || !values.is_empty(), "{title}: a number without a judgement");
    }
}

#[test]
fn every_query_goes_to_the_chosen_prometheus() {
    let dashboard = dashboard();
    let variables = dashboard["templating"]["list"].as_array().expect("variables");
    assert_eq!((text(&variables[0], "name"), text(&variables[0], "type")), ("datasource", "datasource"));
    assert_eq!(text(&variables[0], "query"), "prometheus");
    let is_chosen = |asked: &Value| asked["datasource"]["uid"] == "${datasource}";
    assert!(is_chosen(&variables[1]) && is_chosen(&dashboard["annotations"]["list"][0]));
    for panel in panels(&dashboard) {
        assert!(is_chosen(panel) && targets(panel).iter().all(is_chosen), "{}", text(panel, "title"));
        let letters: Vec<&str> = targets(panel).iter().map(|target| text(target, "refId")).collect();
        assert_eq!(letters, ["A", "B", "C", "D"][..letters.len()], "{}", text(panel, "title"));
    }
}

#[test]
fn panels_do_not_overlap_and_have_distinct_numbers() {
    let dashboard = dashboard();
    let all = dashboard["panels"].as_array().expect("panels");
    let numbers: BTreeSet<u64> = all.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(numbers.len(), all.len());
    let mut taken = BTreeSet::new();
    for panel in all {
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        let (x, y, w, h) = (side("x"), side("y"), side("w"), side("h"));
        assert!(w > 0 && h > 0 && x + w <= COLUMNS && y + h <= ROWS, "{}", text(panel, "title"));
        for cell in (x..x + w).flat_map(|x| (y..y + h).map(move |y| (x, y))) {
            assert!(taken.insert(cell), "{} lies on another panel", text(panel, "title"));
        }
    }
    let highest = taken.iter().map(|(_, y)| y).max().expect("cells");
    assert_eq!(u64::try_from(taken.len()).unwrap(), COLUMNS * (highest + 1), "there are gaps");
}
