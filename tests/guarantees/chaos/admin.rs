//! The harness's own connection to the brokers: it asks who leads, changes streams, reads them at the
//! end, and counts the answers that are announced meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::jetstream::stream::{Config, Info, Stream};
use async_nats::jetstream::{self, Context};
use futures_util::StreamExt;

use super::Trouble;
use super::cluster;

pub(crate) const JOBS: &str = "PROVE_JOBS_default";
pub(crate) const ANSWERS: &str = "PROVE_ANSWERS_default";

/// Time in which a request is repeated while brokers come and go.
const PATIENCE: Duration = Duration::from_secs(40);
/// Time that one request may take.
const REQUEST: Duration = Duration::from_secs(3);

/// The connection.
pub(crate) struct Admin {
    context: Context,
    /// The stream sequences under which each job's answers were announced.
    announced: Arc<Mutex<HashMap<String, HashSet<u64>>>>,
}

impl Admin {
    pub(crate) async fn connect(url: &str) -> Result<Self, Trouble> {
        let options = async_nats::ConnectOptions::new().request_timeout(Some(REQUEST));
        let addresses: Vec<&str> = url.split(',').collect();
        let client = options.ping_interval(Duration::from_secs(1)).connect(addresses).await?;
        let announced: Arc<Mutex<HashMap<String, HashSet<u64>>>> = Arc::default();
        let mut live = client.subscribe("prove.v1.live.>").await?;
        let heard = announced.clone();
        tokio::spawn(async move {
            while let Some(message) = live.next().await {
                let sequence = message.headers.as_ref().and_then(|headers| headers.get("Nats-Sequence"));
                let sequence = sequence.and_then(|sequence| sequence.as_str().parse().ok());
                let job = message.subject.rsplit('.').next().unwrap_or_default().to_owned();
                if let Some(sequence) = sequence {
                    let mut heard = heard.lock().unwrap_or_else(PoisonError::into_inner);
                    heard.entry(job).or_default().insert(sequence);
                }
            }
        });
        Ok(Admin { context: jetstream::new(client), announced })
    }

    pub(crate) fn announced(&self) -> HashMap<String, HashSet<u64>> {
        self.announced.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// A stream, to be asked; the stream itself was not.
    pub(crate) async fn stream(&self, name: &str) -> Result<Stream<()>, Trouble> {
        Ok(self.context.get_stream_no_info(name).await?)
    }

    pub(crate) async fn info(&self, name: &str) -> Result<Info, Trouble> {
        patiently(async || self.ask(name).await).await
    }

    async fn ask(&self, name: &str) -> Result<Info, Trouble> {
        Ok(self.stream(name).await?.get_info().await?)
    }

    /// The broker that leads a stream.
    pub(crate) async fn leader(&self, name: &str) -> Result<usize, Trouble> {
        patiently(async || {
            let leader = self.ask(name).await?.cluster.and_then(|cluster| cluster.leader);
            // Without a cluster there is one broker, and it leads.
            let Some(leader) = leader.filter(|leader| !leader.is_empty()) else { return Ok(0) };
            (0..).take(9).find(|index| cluster::name(*index) == leader).ok_or_else(|| leader.into())
        })
        .await
    }

    /// Changes a stream, and says what it was before.
    pub(crate) async fn change(
        &self,
        name: &str,
        change: impl Fn(&mut Config, &Info),
    ) -> Result<Config, Trouble> {
        patiently(async || {
            let info = self.ask(name).await?;
            let mut config = info.config.clone();
            change(&mut config, &info);
            self.context.update_stream(&config).await?;
            Ok(info.config)
        })
        .await
    }

    /// Makes a stream again what it was.
    pub(crate) async fn restore(&self, config: &Config) -> Result<(), Trouble> {
        patiently(async || Ok(self.context.update_stream(config).await.map(drop)?)).await
    }

    pub(crate) async fn delete_consumer(&self, lane: &str) -> Result<(), Trouble> {
        patiently(async || Ok(self.stream(JOBS).await?.delete_consumer(lane).await.map(drop)?)).await
    }
}

/// Tries until it works, or for long enough.
async fn patiently<T>(mut what: impl AsyncFnMut() -> Result<T, Trouble>) -> Result<T, Trouble> {
    let until = Instant::now() + PATIENCE;
    loop {
        match what().await {
            Ok(done) => return Ok(done),
            Err(trouble) if Instant::now() > until => return Err(trouble),
            Err(_) => tokio::time::sleep(Duration::from_millis(300)).await,
        }
    }
}
