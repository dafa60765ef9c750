//! A job message whose every byte is the test's to choose, and an answer as it lies in its stream.

use std::time::{SystemTime, UNIX_EPOCH};

use async_nats::{Client, HeaderMap, jetstream};
use sealprove::protocol::{
    Answer, AnswerBinding, AnswerHeader, AnswerMode, Bundle, BundleKey, Code, Deployment, JobHeader, JobId,
    JobSubject, Lane, Scheme, Sealed, Subjects, UnixSeconds, VerifyingKeyPin, seal,
};

/// A job message.
pub(crate) struct RawJob {
    pub(crate) id: JobId,
    pub(crate) subject: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) payload: Vec<u8>,
    /// The bytes that its answer is bound to.
    pub(crate) info: Vec<u8>,
    pub(crate) sealed: Sealed,
}

impl RawJob {
    /// As an honest client makes it: for an hour, with a sealed answer.
    pub(crate) fn seal(bundle: &Bundle, circuit: &str, witness: &[u8]) -> Self {
        Self::seal_as(bundle, circuit, witness, |_| {})
    }

    /// The same, to a key of this scheme.
    pub(crate) fn seal_under(scheme: Scheme, bundle: &Bundle, circuit: &str, witness: &[u8]) -> Self {
        let of_scheme = bundle.keys.iter().filter(|key| key.scheme == scheme).cloned();
        let bundle = Bundle { keys: of_scheme.collect(), ..bundle.clone() };
        Self::seal(&bundle, circuit, witness)
    }

    /// The same, with something else in its header, under its seal.
    pub(crate) fn seal_as(
        bundle: &Bundle,
        circuit: &str,
        witness: &[u8],
        change: impl FnOnce(&mut JobHeader),
    ) -> Self {
        let key = bundle.keys.first().expect("a key");
        let circuit = circuit.parse().expect("a circuit's name");
        let pin = bundle
            .circuit(&circuit)
            .map_or(VerifyingKeyPin::Any, |listed| VerifyingKeyPin::Exactly(listed.verifying_key));
        let subject =
            JobSubject { tenant: Default::default(), lane: Lane::Standard, circuit, job: JobId::random() };
        let mut header = JobHeader {
            subject,
            key: key.id.clone(),
            expires: UnixSeconds(unix_now() + 3600),
            answer: AnswerMode::Sealed,
            verifying_key: pin,
        };
        change(&mut header);
        Self::bind(&bundle.deployment, &header, key, witness)
    }

    fn bind(deployment: &Deployment, header: &JobHeader, key: &BundleKey, witness: &[u8]) -> Self {
        let info = header.info(deployment);
        let sealed = seal(key.scheme, &key.public_key.0, &info, witness).expect("a seal");
        let headers = header.to_headers().map(|(name, value)| (name.to_owned(), value)).to_vec();
        RawJob {
            id: header.subject.job.clone(),
            subject: Subjects::default().job(&header.subject),
            headers,
            payload: sealed.payload.clone(),
            info,
            sealed,
        }
    }

    /// With another value for a header, outside the seal.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let (_, old) = self.headers.iter_mut().find(|(known, _)| known == name).expect("a header");
        value.clone_into(old);
        self
    }

    /// Without a header.
    pub(crate) fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(known, _)| known != name);
        self
    }

    /// With one header more.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another payload.
    pub(crate) fn payload(mut self, payload: impl Into<Vec<u8>>) -> Self {
        self.payload = payload.into();
        self
    }

    /// With one bit of the payload changed.
    pub(crate) fn flipped(mut self, at: usize) -> Self {
        self.payload[at] ^= 1;
        self
    }

    /// With another token in its subject, counted from 0.
    pub(crate) fn token(mut self, index: usize, value: &str) -> Self {
        let mut tokens: Vec<&str> = self.subject.split('.').collect();
        tokens[index] = value;
        self.subject = tokens.join(".");
        if let Ok(subject) = Subjects::default().parse_job(&self.subject) {
            self.id = subject.job;
        }
        self
    }

    /// Publishes it, and says what the broker says.
    pub(crate) async fn publish(&self, client: &Client) -> Result<u64, String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.append(name.as_str(), value.as_str());
        }
        let context = jetstream::new(client.clone());
        let ack = context.publish_with_headers(self.subject.clone(), headers, self.payload.clone().into());
        let ack = ack.await.map_err(|error| error.to_string())?;
        ack.await.map(|ack| ack.sequence).map_err(|error| error.to_string())
    }

    /// The answer, if it is from the process that had opened this job.
    pub(crate) fn open(&self, stored: &Stored) -> Option<Answer> {
        let header = stored.header()?;
        let binding =
            AnswerBinding { info: &self.info, enc: &self.sealed.enc, secret: &self.sealed.answer_secret };
        let document = binding.open_answer(&header, &stored.payload).ok()?;
        Some(serde_json::from_slice(&document).expect("an answer's document"))
    }
}

/// A message in the answer stream.
#[derive(Debug)]
pub(crate) struct Stored {
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Vec<u8>,
}

impl Stored {
    /// Reads the stored message of a job, if there is one.
    pub(crate) async fn read(context: &jetstream::Context, job: &JobId) -> Option<Self> {
        let stream = context.get_stream("PROVE_ANSWERS_default").await.ok()?;
        let subject = Subjects::default().answer(&Default::default(), job);
        let found = stream.get_last_raw_message_by_subject(&subject).await.ok()?;
        Some(Stored { headers: found.headers, payload: found.payload.to_vec() })
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.as_str())
    }

    /// Its headers, if they are those of an answer.
    pub(crate) fn header(&self) -> Option<AnswerHeader> {
        AnswerHeader::parse(|name| self.get(name))
    }

    pub(crate) fn code(&self) -> Code {
        self.header().expect("an answer's headers").code
    }

    /// Its document, where it lies there in clear.
    pub(crate) fn document(&self) -> Answer {
        serde_json::from_slice(&self.payload).expect("an answer's document in clear")
    }
}

/// Unix seconds.
pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_secs()
}
