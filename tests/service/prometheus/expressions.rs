//! The rules and the dashboard, as they are shipped.

use std::path::Path;

use serde_json::Value;

use super::faster::faster;

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The rules, sixty times as fast.
pub(crate) fn rules() -> String {
    faster(&read("monitoring/alerts.yaml"))
}

fn each_rule() -> Vec<Value> {
    let rules: Value = serde_saphyr::from_str(&rules()).expect("YAML");
    let groups = rules["groups"].as_array().expect("groups").iter();
    groups.flat_map(|group| group["rules"].as_array().expect("rules").clone()).collect()
}

/// The names of all alerts.
pub(crate) fn alerts() -> Vec<String> {
    each_rule().iter().map(|rule| rule["alert"].as_str().expect("a name").to_owned()).collect()
}

/// Every expression of the dashboard with its panel, as Grafana asks it: with the variables filled in.
pub(crate) fn of_dashboard() -> Vec<(String, String)> {
    let dashboard: Value = serde_json::from_str(&read("dashboards/sealprove.json")).expect("JSON");
    let panels = dashboard["panels"].as_array().expect("panels").iter();
    let asked = panels.flat_map(|panel| {
        let title = panel["title"].as_str().expect("a title");
        let targets = panel["targets"].as_array().into_iter().flatten();
        targets.map(move |target| (title.to_owned(), target["expr"].as_str().expect("an expression")))
    });
    let filled =
        |expression: &str| faster(&expression.replace("$circuit", ".+").replace("$__rate_interval", "30m"));
    asked.map(|(title, expression)| (title, filled(expression))).collect()
}

/// Returns the left sides of the rules' comparisons: there must be something to compare.
pub(crate) fn of_rules() -> Vec<(String, String)> {
    let looked_at = |rule: &Value| {
        let expression = rule["expr"].as_str().expect("an expression");
        let name = rule["alert"].as_str().expect("a name").to_owned();
        let parts: Vec<&str> = expression.split(" and ").collect();
        let compared = |part: &str| {
            let end = [" == ", " > ", " < "].iter().filter_map(|operator| part.rfind(operator)).max();
            part[..end.unwrap_or(part.len())]
                .trim()
                .replace("sum(sealprove_ready) or vector(0)", "sum(sealprove_ready)")
        };
        parts.into_iter().map(|part| (name.clone(), unwrapped(&compared(part)))).collect::<Vec<_>>()
    };
    each_rule().iter().flat_map(looked_at).collect()
}

/// `on (…) x` without its first words.
fn unwrapped(part: &str) -> String {
    let rest = part.strip_prefix("on (instance) ").unwrap_or(part);
    rest.to_owned()
}
