//! A broken promise, and how many of them are told.

use std::collections::BTreeMap;

/// Number of similar entries that are named.
const NAMED_MAX: usize = 10;

/// A promise was broken.
#[derive(Debug, Clone)]
pub(crate) struct Broken {
    pub(crate) what: String,
    /// The job, if it is about exactly one.
    pub(crate) job: Option<String>,
}

impl Broken {
    pub(crate) fn new(job: &str, what: impl Into<String>) -> Self {
        Broken { what: what.into(), job: Some(job.to_owned()) }
    }

    pub(crate) fn of_all(what: impl Into<String>) -> Self {
        Broken { what: what.into(), job: None }
    }
}

/// Prints what was broken, with the jobs of each kind.
pub(crate) fn print(broken: &[Broken]) {
    let mut alike: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for one in broken {
        alike.entry(&one.what).or_default().extend(one.job.as_deref());
    }
    for (what, jobs) in alike {
        println!("  {what}");
        for job in jobs.iter().take(NAMED_MAX) {
            println!("    {job}");
        }
        if jobs.len() > NAMED_MAX {
            println!("    and {} more", jobs.len() - NAMED_MAX);
        }
    }
}
