//! The registry: each metric is registered with its labels and all of their values, so every series exists before its
//! first event. A rate over a series that appears with its first event misses that event.

use std::sync::Arc;

use prometheus::core::{Collector, MetricVec, MetricVecBuilder};
use prometheus::{
    Gauge, GaugeVec, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts,
};

use crate::protocol::CircuitId;

/// Label of every circuit that the service does not have.
const OTHER: &str = "other";

/// The name of a metric, and the question that it answers.
pub(super) type Definition = (&'static str, &'static str);

/// A label, with all of its values.
pub(super) struct Label {
    name: &'static str,
    values: Vec<String>,
}

impl Label {
    /// Creates a label with these values: a closed set, or names that the operator has configured.
    pub(super) fn new<T: ToString>(name: &'static str, values: impl IntoIterator<Item = T>) -> Self {
        Label { name, values: values.into_iter().map(|value| value.to_string()).collect() }
    }
}

/// The circuits that have a label of their own.
#[derive(Clone)]
pub(super) struct CircuitLabels(Arc<[CircuitId]>);

impl CircuitLabels {
    /// Returns the label of a circuit. A client may name any circuit, so all unknown ones share one label.
    pub(super) fn name<'a>(&self, circuit: &'a CircuitId) -> &'a str {
        if self.has(circuit) { circuit.as_str() } else { OTHER }
    }

    /// Returns whether the circuit has a label of its own.
    pub(super) fn has(&self, circuit: &CircuitId) -> bool {
        self.0.contains(circuit)
    }

    /// Returns the label without a value for unknown circuits.
    pub(super) fn own(&self) -> Label {
        Label::new("circuit", self.0.iter())
    }

    /// Returns the label with a value for unknown circuits.
    fn with_other(&self) -> Label {
        Label::new("circuit", self.0.iter().map(CircuitId::as_str).chain([OTHER]))
    }
}

/// A registry of metrics.
pub(super) struct Registry {
    inner: prometheus::Registry,
    circuits: CircuitLabels,
}

impl Registry {
    /// Creates a registry without metrics, for a service with these circuits.
    pub(super) fn new(circuits: impl IntoIterator<Item = CircuitId>) -> Self {
        let circuits = CircuitLabels(circuits.into_iter().collect());
        Registry { inner: prometheus::Registry::new(), circuits }
    }

    /// Returns the registry that the exporter reads.
    pub(super) fn into_inner(self) -> prometheus::Registry {
        self.inner
    }

    pub(super) fn circuits(&self) -> CircuitLabels {
        self.circuits.clone()
    }

    /// Returns the label of a job's circuit, with a value for unknown ones.
    pub(super) fn circuit(&self) -> Label {
        self.circuits.with_other()
    }

    pub(super) fn counter(&self, (name, help): Definition) -> IntCounter {
        self.register(IntCounter::new(name, help))
    }

    pub(super) fn counters(&self, (name, help): Definition, labels: &[Label]) -> IntCounterVec {
        self.register_all(IntCounterVec::new(Opts::new(name, help), &names(labels)), labels)
    }

    pub(super) fn gauge(&self, (name, help): Definition) -> IntGauge {
        self.register(IntGauge::new(name, help))
    }

    pub(super) fn gauge_f64(&self, (name, help): Definition) -> Gauge {
        self.register(Gauge::new(name, help))
    }

    pub(super) fn gauges(&self, (name, help): Definition, labels: &[Label]) -> IntGaugeVec {
        self.register_all(IntGaugeVec::new(Opts::new(name, help), &names(labels)), labels)
    }

    pub(super) fn gauges_f64(&self, (name, help): Definition, labels: &[Label]) -> GaugeVec {
        self.register_all(GaugeVec::new(Opts::new(name, help), &names(labels)), labels)
    }

    pub(super) fn histograms(
        &self,
        (name, help): Definition,
        labels: &[Label],
        upper_bounds: &[f64],
    ) -> HistogramVec {
        let options = HistogramOpts::new(name, help).buckets(upper_bounds.to_vec());
        self.register_all(HistogramVec::new(options, &names(labels)), labels)
    }

    fn register<M: Collector + Clone + 'static>(&self, metric: prometheus::Result<M>) -> M {
        // Cannot panic: names and labels are well-formed constants.
        let metric = metric.expect("a well-formed metric");
        // Cannot panic: each name is registered once.
        self.inner.register(Box::new(metric.clone())).expect("a metric with a new name");
        metric
    }

    fn register_all<B: MetricVecBuilder + 'static>(
        &self,
        metric: prometheus::Result<MetricVec<B>>,
        labels: &[Label],
    ) -> MetricVec<B> {
        let metric = self.register(metric);
        for values in combinations(labels) {
            // Creates the series.
            drop(metric.with_label_values(&values));
        }
        metric
    }
}

fn names(labels: &[Label]) -> Vec<&'static str> {
    labels.iter().map(|label| label.name).collect()
}

/// Combines every value of the first label with every value of the second, and so on.
fn combinations(labels: &[Label]) -> Vec<Vec<&str>> {
    let mut combined = vec![Vec::new()];
    for label in labels {
        let mut longer = Vec::new();
        for values in &combined {
            longer.extend(label.values.iter().map(|value| [&values[..], &[value.as_str()]].concat()));
        }
        combined = longer;
    }
    combined
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_is_combined_with_every_other() {
        let labels = [Label::new("one", ["a", "b"]), Label::new("two", ["x", "y"])];
        assert_eq!(combinations(&labels), [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]]);
        assert_eq!(combinations(&[Label::new("none", Vec::<&str>::new())]), Vec::<Vec<&str>>::new());
    }
}
