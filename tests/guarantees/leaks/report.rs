//! The permitted places of each secret, and the places where it was found.

use super::needles::{Encoding, Kind, Needles, What};
use super::scan::Scan;

/// One of each scheme.
const KEYS: u64 = 2;
const JOB_ID: Kind = (What::JobId, Encoding::Text);

/// The secrets that a place may hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum May {
    /// No secret.
    HoldNothing,
    /// No secret either, but the id of a job: what shows that it is looked for here in the right way.
    HoldJobIds,
    /// Each private key, once, in pages that are locked.
    HoldTheKeys,
    /// Each private key, once: its own file.
    BeTheKeys,
    /// The witness, and all of these forms of it at one time or another; the secret of its answer; no key.
    HoldTheWitness(Vec<Kind>),
    /// Whatever there is: a control, in which all of these must be found.
    HoldAll(Vec<Kind>),
}

/// A place that was looked at, once or more often.
pub(crate) struct Place {
    pub(crate) name: String,
    pub(crate) may: May,
    pub(crate) scan: Scan,
    pub(crate) looks: u64,
}

impl Place {
    pub(crate) fn new(name: &str, may: May, scan: Scan) -> Self {
        Place { name: name.to_owned(), may, scan, looks: 1 }
    }

    /// Returns the differences from what is expected here.
    fn faults(&self) -> Vec<String> {
        let keys = |(secret, _): Kind| secret == What::PrivateKey;
        let others = |kind: Kind| kind.0.is_secret() && !keys(kind);
        let missing = |wanted: &[Kind]| {
            let absent = wanted.iter().filter(|kind| !self.scan.hits.contains_key(kind));
            absent.map(|kind| format!("no {}", describe(kind))).collect()
        };
        match &self.may {
            May::HoldNothing => self.found(|(secret, _)| secret.is_secret()),
            May::HoldJobIds => [self.found(|(secret, _)| secret.is_secret()), missing(&[JOB_ID])].concat(),
            May::HoldTheKeys => {
                let astray = |place: &&(Kind, String, bool)| keys(place.0) && !place.2;
                let astray = self.scan.places.iter().filter(astray);
                let astray = astray.map(|(kind, place, _)| format!("{} in {place}", describe(kind)));
                [self.found(others), self.once(), astray.collect()].concat()
            }
            May::BeTheKeys => [self.found(others), self.once()].concat(),
            May::HoldTheWitness(wanted) => {
                [self.found(|(secret, _)| secret.opens_jobs()), missing(wanted)].concat()
            }
            May::HoldAll(wanted) => missing(wanted),
        }
    }

    fn found(&self, forbidden: impl Fn(Kind) -> bool) -> Vec<String> {
        let places = self.scan.places.iter().filter(|(kind, ..)| forbidden(*kind));
        places.map(|(kind, place, _)| format!("{} in {place}", describe(kind))).collect()
    }

    /// The private keys are where they should be, and as often: each once each time.
    fn once(&self) -> Vec<String> {
        let raw = self.scan.count(|kind| kind == (What::PrivateKey, Encoding::Raw));
        let limbs = self.scan.count(|kind| kind == (What::PrivateKey, Encoding::Limb));
        let keys = KEYS * self.looks;
        if (raw, limbs) == (keys, 4 * keys) {
            return Vec::new();
        }
        vec![format!("private keys {raw} times, and {limbs} limbs of them")]
    }

    fn print(&self) {
        let Scan { bytes, parts, unreadable, hits, .. } = &self.scan;
        let megabytes = *bytes as f64 / f64::from(1 << 20);
        let unreadable =
            if *unreadable > 0 { format!("  and {unreadable} B that cannot be read") } else { String::new() };
        println!("{:44} {:>6} {megabytes:>9.2} MiB {parts:>6}{unreadable}", self.name, self.looks);
        let found: Vec<String> =
            hits.iter().map(|(kind, count)| format!("{} {count}", describe(kind))).collect();
        let listed = |kinds: &[Kind]| kinds.iter().map(describe).collect::<Vec<_>>().join(", ");
        let expected = match &self.may {
            May::HoldNothing => "no secret".to_owned(),
            May::HoldJobIds => "no secret; ids of jobs".to_owned(),
            May::HoldTheKeys => "each private key, once each time, in locked pages".to_owned(),
            May::BeTheKeys => "each private key, once".to_owned(),
            May::HoldTheWitness(wanted) => format!("no key; {}", listed(wanted)),
            // All of it: too long to be said twice.
            May::HoldAll(wanted) if wanted.len() > 10 => "all of the above".to_owned(),
            May::HoldAll(wanted) => listed(wanted),
        };
        println!("      expected: {expected}");
        println!(
            "      found:    {}",
            if found.is_empty() { "nothing".to_owned() } else { found.join(", ") }
        );
        let mut faults = self.faults();
        faults.sort();
        faults.dedup();
        for fault in faults {
            println!("      WRONG:    {fault}");
        }
    }
}

fn describe((what, encoding): &Kind) -> String {
    format!("{what} {encoding}")
}

/// Every place.
#[derive(Default)]
pub(crate) struct Report(Vec<Place>);

impl Report {
    /// A place that was looked at before under this name is the same place.
    pub(crate) fn add(&mut self, place: Place) {
        match self.0.iter_mut().find(|known| known.name == place.name) {
            Some(known) => {
                known.looks += place.looks;
                known.scan.and(place.scan);
            }
            None => self.0.push(place),
        }
    }

    /// Checks whether each of these has been seen in a place.
    pub(crate) fn has_seen(&self, name: &str, wanted: &[Kind]) -> bool {
        let place = self.0.iter().find(|place| place.name == name);
        place.is_some_and(|place| wanted.iter().all(|kind| place.scan.hits.contains_key(kind)))
    }

    /// Prints all; says whether everything is as it must be.
    pub(crate) fn print(&self, needles: &Needles) -> bool {
        println!("looked for {} byte strings:", needles.len());
        for of_one in needles.kinds().chunk_by(|one, next| one.0 == next.0) {
            let encodings: Vec<String> = of_one.iter().map(|(_, encoding)| encoding.to_string()).collect();
            println!("      {:22} {}", of_one[0].0.to_string(), encodings.join(", "));
        }
        println!("\n{:44} {:>6} {:>13} {:>6}", "looked at", "times", "bytes", "parts");
        self.0.iter().for_each(Place::print);
        let bytes: u64 = self.0.iter().map(|place| place.scan.bytes).sum();
        let wrong = self.0.iter().filter(|place| !place.faults().is_empty()).count();
        let verdict = if wrong == 0 { "ok" } else { "FAILED" };
        println!(
            "\nleaks: {verdict}: {} places, {} MiB read, {wrong} places not as expected",
            self.0.len(),
            bytes >> 20
        );
        wrong == 0
    }
}
