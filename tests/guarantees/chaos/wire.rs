//! Traffic between services and brokers, as the proxies see it: who has which job, who
//! knows of which answer, what is acknowledged when.
//!
//! Three rules of the protocol are checked right here, on what a service says: an answer is published with
//! compare-and-set, and a job is acknowledged, or taken out of its queue, only by who knows that its answer
//! is stored.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use super::broken::Broken;
use super::journal::unix_ms;
use super::nats_frames::Frame;

/// The direction of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    ToBroker,
    ToService,
}

/// The meaning of a frame for a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sight {
    Delivered(String),
    Proving(String),
    Answering(String),
    /// The broker says that it has the answer.
    Stored(String),
    Acknowledging(String),
    Other,
}

/// A request of a service to the broker, not answered yet.
enum Asked {
    Store(String),
    Look(String),
    /// A job in its queue.
    Find,
    /// To take a job out of its queue.
    Delete(String),
    Acknowledge {
        job: String,
        on: String,
    },
}

/// A job was given to a service.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) at: u64,
    pub(crate) lane: String,
    pub(crate) service: usize,
    pub(crate) job: String,
}

/// The state of one service.
#[derive(Default)]
struct Of {
    /// The broker that it is connected to.
    broker: Option<usize>,
    /// Jobs that are this service's, by the subject that they are acknowledged on.
    held: HashMap<String, String>,
    /// The same of all jobs that it was ever given.
    given: HashMap<String, String>,
    /// Jobs of whose answer this service knows from the broker.
    answered: HashSet<String>,
    asked: HashMap<String, Asked>,
}

#[derive(Default)]
struct Seen {
    services: Vec<Of>,
    deliveries: Vec<Delivery>,
    /// Jobs by their sequence in the queue, as far as services have seen them.
    queued: HashMap<u64, String>,
    /// Time at which the broker confirmed that a job is acknowledged, or taken out of its queue.
    acknowledged: HashMap<String, u64>,
    /// Time at which a service last acknowledged a job.
    acknowledging: HashMap<String, u64>,
    /// Frames that a proxy withheld, and when.
    swallowed: Vec<(u64, usize, String)>,
    broken: Vec<Broken>,
}

/// The wire between all services and all brokers.
pub(crate) struct Wire {
    seen: Mutex<Seen>,
}

impl Wire {
    pub(crate) fn new(services: usize) -> Self {
        let services = std::iter::repeat_with(Of::default).take(services).collect();
        Wire { seen: Mutex::new(Seen { services, ..Seen::default() }) }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of a frame, and says what it is.
    pub(crate) fn see(&self, service: usize, broker: usize, way: Way, frame: &Frame) -> Sight {
        let mut seen = self.seen();
        match way {
            Way::ToBroker => seen.hear_service(service, broker, frame),
            Way::ToService => seen.hear_broker(service, frame),
        }
    }

    /// A new process knows nothing of what the one before did.
    pub(crate) fn forget(&self, service: usize) {
        self.seen().services[service] = Of::default();
    }

    pub(crate) fn broker_of(&self, service: usize) -> Option<usize> {
        self.seen().services[service].broker
    }

    /// The jobs that a service has not acknowledged.
    pub(crate) fn held(&self, service: usize) -> Vec<String> {
        self.seen().services[service].held.values().cloned().collect()
    }

    /// Takes note that a service will not get the broker's word that its answer is stored.
    pub(crate) fn swallow_stored(&self, service: usize, job: &str) {
        self.seen().services[service].answered.remove(job);
        self.swallow(service, job);
    }

    /// Takes note that the service or its broker will not get what was seen of a job.
    pub(crate) fn swallow(&self, service: usize, job: &str) {
        let mut seen = self.seen();
        seen.swallowed.push((unix_ms(), service, job.to_owned()));
    }

    /// Returns the frames withheld from or of a service since then.
    pub(crate) fn swallowed_since(&self, at: u64, service: usize) -> Vec<String> {
        let seen = self.seen();
        let since = seen.swallowed.iter().filter(|(then, of, _)| *then >= at && *of == service);
        since.map(|(_, _, job)| job.clone()).collect()
    }

    pub(crate) fn deliveries(&self) -> Vec<Delivery> {
        self.seen().deliveries.clone()
    }

    /// Returns the time at which each job was acknowledged: as the broker confirmed it, or where that got lost with a broker, as
    /// the service said it last.
    pub(crate) fn acknowledged(&self) -> HashMap<String, u64> {
        let seen = self.seen();
        let mut acknowledged = seen.acknowledging.clone();
        acknowledged.extend(seen.acknowledged.iter().map(|(job, at)| (job.clone(), *at)));
        acknowledged
    }

    pub(crate) fn broken(&self) -> Vec<Broken> {
        self.seen().broken.clone()
    }
}

impl Seen {
    fn hear_service(&mut self, service: usize, broker: usize, frame: &Frame) -> Sight {
        if frame.verb() == "CONNECT" {
            self.services[service].broker = Some(broker);
        }
        let (subject, reply) = (frame.subject(), frame.reply());
        if let Some(job) = job_of(subject, "prove.v1.answer.") {
            if frame.header("Nats-Expected-Last-Subject-Sequence") != Some("0") {
                self.broken.push(Broken::new(job, "an answer was published without compare-and-set"));
            }
            self.asks(service, reply, Asked::Store(job.to_owned()));
            Sight::Answering(job.to_owned())
        } else if let Some(job) = job_of(subject, "prove.v1.status.") {
            let proves = serde_json::from_slice::<Value>(frame.payload())
                .is_ok_and(|status| status["state"] == "proving");
            if proves { Sight::Proving(job.to_owned()) } else { Sight::Other }
        } else if subject.starts_with("$JS.ACK.") {
            self.settles(service, frame)
        } else if subject.starts_with("$JS.API.STREAM.MSG.") {
            self.reads_or_deletes(service, frame);
            Sight::Other
        } else {
            Sight::Other
        }
    }

    /// A read from a stream's leader; or a job that is taken out of its queue.
    fn reads_or_deletes(&mut self, service: usize, frame: &Frame) {
        let asked: Value = serde_json::from_slice(frame.payload()).unwrap_or_default();
        let subject = frame.subject();
        if subject.starts_with("$JS.API.STREAM.MSG.GET.PROVE_ANSWERS_") {
            let of = asked["last_by_subj"].as_str();
            if let Some(job) = of.and_then(|of| job_of(of, "prove.v1.answer.")) {
                self.asks(service, frame.reply(), Asked::Look(job.to_owned()));
            }
        } else if subject.starts_with("$JS.API.STREAM.MSG.GET.PROVE_JOBS_") {
            self.asks(service, frame.reply(), Asked::Find);
        } else if subject.starts_with("$JS.API.STREAM.MSG.DELETE.PROVE_JOBS_") {
            let job = asked["seq"].as_u64().and_then(|sequence| self.queued.get(&sequence).cloned());
            let Some(job) = job else { return };
            if !self.services[service].answered.contains(&job) {
                let what = "taken out of the queue by a service that did not know of an answer";
                self.broken.push(Broken::new(&job, what));
            }
            self.asks(service, frame.reply(), Asked::Delete(job));
        }
    }

    fn asks(&mut self, service: usize, reply: &str, asked: Asked) {
        self.services[service].asked.insert(reply.to_owned(), asked);
    }

    /// `+ACK`, `-NAK` or `+TERM` of a delivery; `+WPI` ends nothing.
    fn settles(&mut self, service: usize, frame: &Frame) -> Sight {
        let on = frame.subject().to_owned();
        let Some(job) = self.services[service].given.get(&on).cloned() else { return Sight::Other };
        if frame.payload().starts_with(b"+ACK") {
            if !self.services[service].answered.contains(&job) {
                let what = "acknowledged by a service that did not know of an answer";
                self.broken.push(Broken::new(&job, what));
            }
            self.acknowledging.insert(job.clone(), unix_ms());
            self.asks(service, frame.reply(), Asked::Acknowledge { job: job.clone(), on });
            return Sight::Acknowledging(job);
        }
        if !frame.payload().starts_with(b"+WPI") {
            self.services[service].held.remove(&on);
        }
        Sight::Other
    }

    fn hear_broker(&mut self, service: usize, frame: &Frame) -> Sight {
        let (subject, reply) = (frame.subject(), frame.reply());
        if subject.starts_with("prove.v1.job.") && reply.starts_with("$JS.ACK.") {
            let tokens: Vec<&str> = subject.split('.').collect();
            let [_, _, _, _, lane, _, job] = tokens[..] else { return Sight::Other };
            self.deliveries.push(Delivery {
                at: unix_ms(),
                lane: lane.to_owned(),
                service,
                job: job.to_owned(),
            });
            if let Some(sequence) = stream_sequence(reply) {
                self.queued.insert(sequence, job.to_owned());
            }
            for of in &mut self.services {
                of.held.retain(|_, held| held != job);
            }
            self.services[service].held.insert(reply.to_owned(), job.to_owned());
            self.services[service].given.insert(reply.to_owned(), job.to_owned());
            return Sight::Delivered(job.to_owned());
        }
        match self.services[service].asked.remove(subject) {
            Some(asked) => self.answer(service, asked, frame),
            None => Sight::Other,
        }
    }

    /// The broker's answer to what a service asked.
    fn answer(&mut self, service: usize, asked: Asked, frame: &Frame) -> Sight {
        let document: Value = serde_json::from_slice(frame.payload()).unwrap_or_default();
        match asked {
            Asked::Store(job) if document["seq"].is_u64() && document["error"].is_null() => {
                self.services[service].answered.insert(job.clone());
                Sight::Stored(job)
            }
            Asked::Look(job) if document["message"].is_object() => {
                self.services[service].answered.insert(job);
                Sight::Other
            }
            Asked::Find => {
                let (sequence, subject) = (&document["message"]["seq"], &document["message"]["subject"]);
                if let (Some(sequence), Some(subject)) = (sequence.as_u64(), subject.as_str()) {
                    let job = subject.rsplit('.').next().unwrap_or_default();
                    self.queued.insert(sequence, job.to_owned());
                }
                Sight::Other
            }
            Asked::Delete(job) if document["success"] == true => {
                self.acknowledged.entry(job).or_insert_with(unix_ms);
                Sight::Other
            }
            Asked::Acknowledge { job, on } if frame.status().is_none() && frame.payload().is_empty() => {
                self.services[service].held.remove(&on);
                self.acknowledged.entry(job).or_insert_with(unix_ms);
                Sight::Other
            }
            _ => Sight::Other,
        }
    }
}

/// The stream sequence in what a delivery is acknowledged on, of either form (ADR-15).
fn stream_sequence(reply: &str) -> Option<u64> {
    let tokens: Vec<&str> = reply.split('.').collect();
    tokens.get(if tokens.len() == 9 { 5 } else { 7 })?.parse().ok()
}

/// The job in `<prefix><tenant>.<job>`.
fn job_of<'a>(subject: &'a str, prefix: &str) -> Option<&'a str> {
    subject.strip_prefix(prefix)?.split_once('.').map(|(_, job)| job)
}
