//! Where metrics are entered: each with its labels and all of their values, so that every series is there before
//! the first event. A rate over a series that appears with its first event misses that event.

use std::sync::Arc;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
    Registry,
};

use crate::protocol::CircuitId;

/// The circuit of a job whose circuit is not here.
const OTHER: &str = "other";

/// A metric's name and the question that it answers.
pub(super) type Entry = (&'static str, &'static str);

/// A label and all of its values.
pub(super) struct Label {
    name: &'static str,
    values: Vec<String>,
}

impl Label {
    /// A label whose values are a closed set.
    pub(super) fn of<T: Copy>(name: &'static str, all: &[T], text: impl Fn(T) -> &'static str) -> Self {
        Label { name, values: all.iter().map(|value| text(*value).to_owned()).collect() }
    }

    /// A label whose values the configuration says.
    pub(super) fn named(name: &'static str, values: impl IntoIterator<Item = String>) -> Self {
        Label { name, values: values.into_iter().collect() }
    }
}

/// The circuits that are labels of their own.
#[derive(Clone)]
pub(super) struct Circuits(Arc<[CircuitId]>);

impl Circuits {
    /// The label's value: the circuit, if it is one of ours. A stranger may name any.
    pub(super) fn name<'a>(&self, circuit: &'a CircuitId) -> &'a str {
        if self.has(circuit) { circuit.as_str() } else { OTHER }
    }

    /// Whether it is one of ours.
    pub(super) fn has(&self, circuit: &CircuitId) -> bool {
        self.0.contains(circuit)
    }

    /// All of ours, without the others.
    pub(super) fn own(&self) -> Label {
        Label::named("circuit", self.0.iter().map(ToString::to_string))
    }
}

/// Takes entries until it is closed.
pub(super) struct Book {
    registry: Registry,
    circuits: Circuits,
}

impl Book {
    /// For metrics of these circuits.
    pub(super) fn of(circuits: impl IntoIterator<Item = CircuitId>) -> Self {
        Book { registry: Registry::new(), circuits: Circuits(circuits.into_iter().collect()) }
    }

    /// What reads the metrics.
    pub(super) fn close(self) -> Registry {
        self.registry
    }

    pub(super) fn circuits(&self) -> Circuits {
        self.circuits.clone()
    }

    /// The circuits as a label, with a value for all others.
    pub(super) fn circuit(&self) -> Label {
        let own = self.circuits.own();
        Label { values: own.values.into_iter().chain([OTHER.to_owned()]).collect(), ..own }
    }

    pub(super) fn counter(&self, (name, help): Entry) -> IntCounter {
        self.enter(IntCounter::new(name, help))
    }

    pub(super) fn counters(&self, (name, help): Entry, labels: &[Label]) -> IntCounterVec {
        self.enter_all(IntCounterVec::new(Opts::new(name, help), &names(labels)), labels)
    }

    pub(super) fn gauge(&self, (name, help): Entry) -> IntGauge {
        self.enter(IntGauge::new(name, help))
    }

    pub(super) fn gauge_f64(&self, (name, help): Entry) -> Gauge {
        self.enter(Gauge::new(name, help))
    }

    pub(super) fn gauges(&self, (name, help): Entry, labels: &[Label]) -> IntGaugeVec {
        self.enter_all(IntGaugeVec::new(Opts::new(name, help), &names(labels)), labels)
    }

    pub(super) fn gauges_f64(&self, (name, help): Entry, labels: &[Label]) -> GaugeVec {
        self.enter_all(GaugeVec::new(Opts::new(name, help), &names(labels)), labels)
    }

    pub(super) fn histograms(
        &self,
        (name, help): Entry,
        labels: &[Label],
        upper_bounds: &[f64],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(upper_bounds.to_vec());
        self.enter_all(HistogramVec::new(options, &names(labels)), labels)
    }

    /// Cannot panic: names and labels are constants, and each stands once.
    fn enter<M: Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        let metric = metric.expect("a well-formed metric");
        self.registry.register(Box::new(metric.clone())).expect("a metric of a new name");
        metric
    }

    fn enter_all<B: MetricVecBuilder + 'static>(
        &self,
        metric: prometheus::Result<MetricVec<B>>,
        labels: &[Label],
    ) -> MetricVec<B> {
        let metric = self.enter(metric);
        for values in combinations(labels) {
            drop(metric.with_label_values(&values));
        }
        metric
    }
}

fn names(labels: &[Label]) -> Vec<&'static str> {
    labels.iter().map(|label| label.name).collect()
}

/// Every value of the first label with every value of the second, and so on.
fn combinations(labels: &[Label]) -> Vec<Vec<&str>> {
    labels.iter().fold(vec![Vec::new()], |combined, label| {
        let with = |values: &Vec<_>, value| values.iter().copied().chain([value]).collect::<Vec<&str>>();
        let each =
            combined.iter().flat_map(|values| label.values.iter().map(|value| with(values, value.as_str())));
        each.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_goes_with_every_other() {
        let label =
            |name, values: &[&str]| Label::named(name, values.iter().map(|value| (*value).to_owned()));
        let labels = [label("one", &["a", "b"]), label("two", &["x", "y"])];
        assert_eq!(combinations(&labels), [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]]);
        assert_eq!(combinations(&[label("none", &[])]), Vec::<Vec<&str>>::new());
    }
}
