//! The page that Prometheus scrapes, read into families and series; and what must hold of it.

use std::collections::{BTreeMap, BTreeSet};

use sealprove::circuit::Circuits;
use sealprove::metrics::Metrics;
use sealprove::protocol::Tenant;

/// A metric: what it is called, what it is, what it says, and its series.
pub(crate) struct Family {
    pub(crate) name: String,
    pub(crate) kind: String,
    pub(crate) help: String,
    /// Each series by its labels, without a bucket's bound.
    pub(crate) series: BTreeSet<BTreeMap<String, String>>,
    pub(crate) samples: usize,
}

impl Family {
    /// The names of its labels.
    pub(crate) fn labels(&self) -> BTreeSet<&str> {
        self.series.iter().flat_map(|series| series.keys().map(String::as_str)).collect()
    }
}

/// All metrics of a service that has just started, with one tenant that is shown.
pub(crate) fn all() -> Vec<Family> {
    let circuits = Circuits::built_in();
    let metrics = Metrics::new(circuits.iter().map(|(id, _)| id.clone()), &[Tenant::default()]);
    read(&String::from_utf8(metrics.page()).expect("a page of text"))
}

/// Reads a page of the text format.
pub(crate) fn read(page: &str) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut help = String::new();
    for line in page.lines() {
        if let Some((_, text)) = line.strip_prefix("# HELP ").and_then(|rest| rest.split_once(' ')) {
            text.clone_into(&mut help);
        } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
        {
            families.push(Family {
                name: name.to_owned(),
                kind: kind.to_owned(),
                help: std::mem::take(&mut help),
                series: BTreeSet::new(),
                samples: 0,
            });
        } else {
            let family = families.last_mut().expect("a type before its samples");
            family.series.insert(labels_of(line));
            family.samples += 1;
        }
    }
    families
}

fn labels_of(sample: &str) -> BTreeMap<String, String> {
    let labels = sample.split_once('{').map_or("", |(_, rest)| rest.split('}').next().expect("a brace"));
    let pairs = labels.split(',').filter_map(|label| label.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.to_owned(), value.trim_matches('"').to_owned()));
    pairs.filter(|(name, _)| name != "le").collect()
}

#[test]
fn names_follow_the_conventions_of_prometheus() {
    let families = all();
    for Family { name, kind, help, .. } in &families {
        assert!(name.starts_with("sealprove_"), "{name}");
        assert!(name.chars().all(|c| c == '_' || c.is_ascii_lowercase()), "{name}");
        assert_eq!(kind == "counter", name.ends_with("_total"), "{name} is a {kind}");
        let has_unit = ["_seconds", "_bytes"].iter().any(|unit| name.ends_with(unit));
        assert!(kind != "histogram" || has_unit, "{name} has no base unit");
        assert!(help.contains('?'), "the help of {name} is no question: {help}");
    }
    assert!(families.len() > 30, "{} metrics", families.len());
}

#[test]
fn every_series_exists_before_the_first_event() {
    for family in all() {
        assert!(!family.series.is_empty(), "{} has no series", family.name);
        let labels = family.labels();
        for series in &family.series {
            assert_eq!(series.keys().map(String::as_str).collect::<BTreeSet<_>>(), labels, "{}", family.name);
        }
    }
}

/// Twenty circuits, and a hundred tenants that are shown.
#[test]
fn a_page_stays_small() {
    let circuits = (0..20).map(|number| format!("circuit-v{number}").parse().unwrap());
    let tenants: Vec<Tenant> = (0..100).map(|number| format!("tenant-{number}").parse().unwrap()).collect();
    let page = String::from_utf8(Metrics::new(circuits, &tenants).page()).unwrap();
    let samples: usize = read(&page).iter().map(|family| family.samples).sum();
    let monitor = super::yaml("k8s/components/monitoring/podmonitor.yaml");
    let most = monitor["spec"]["sampleLimit"].as_u64().expect("a limit");
    assert!(samples < usize::try_from(most).unwrap(), "{samples} samples");
}
