//! Outcomes of attacks: the replies to the attacker, the changes at the victim, and what the attacker heard.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_nats::{Client, Event, HeaderMap, Message, StatusCode, jetstream};
use futures_util::StreamExt;
use sealprove::config::NatsConfig;
use serde_json::Value;

/// Time that an attacker waits for the outcome of an attempt.
const WAIT: Duration = Duration::from_millis(120);

/// One attempt, and what it got.
#[derive(Debug, Clone)]
pub(crate) struct Attempt {
    pub(crate) what: String,
    pub(crate) got: String,
    pub(crate) breached: bool,
}

/// The attacker at its own connection, beside an observer of the victim.
pub(crate) struct Attacker {
    pub(crate) client: Client,
    refused: Arc<Mutex<Vec<String>>>,
    heard: Arc<Mutex<Vec<String>>>,
    observer: jetstream::Context,
    /// Messages in the victim's own inboxes.
    victim_heard: Arc<Mutex<Vec<String>>>,
    victim: &'static str,
    /// Name of the attacker's own account in advisories, if it has one.
    own_account: String,
    pub(crate) attempts: Vec<Attempt>,
}

impl Attacker {
    pub(crate) async fn connect(
        own: &NatsConfig,
        victim_nats: &NatsConfig,
        [attacker, victim]: [&'static str; 2],
        observer: jetstream::Context,
    ) -> Self {
        let refused: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = refused.clone();
        let options = own.options("attacker").await.expect("the attacker's own credentials");
        // What it hears is not its own.
        let options = options.no_echo().event_callback(move |event| {
            if let Event::ServerError(error) = event {
                told.lock().unwrap().push(error.to_string());
            }
            async {}
        });
        let client = options.connect(own.url.clone()).await.expect("its own credentials are good");
        let victim_heard: Arc<Mutex<Vec<String>>> = Arc::default();
        let victims = victim_nats.connect("victim").await.expect("the victim's own credentials");
        let inbox = format!("{}.>", victim_nats.inbox_prefix.as_deref().expect("an inbox prefix"));
        listen(&victims, &inbox, &victim_heard).await;
        listen(&victims, &format!("prove.v1.live.{victim}.*"), &victim_heard).await;
        victims.flush().await.expect("a connection");
        Attacker {
            client,
            refused,
            heard: Arc::default(),
            observer,
            victim_heard,
            victim,
            own_account: format!("\"acc\":\"{attacker}\""),
            attempts: Vec::new(),
        }
    }

    /// Listens on a subject until the end; whatever it hears there from now on is a breach.
    pub(crate) async fn listens(&mut self, subject: &str) {
        let before = self.refused.lock().unwrap().len();
        listen(&self.client, subject, &self.heard).await;
        self.client.flush().await.expect("a connection");
        tokio::time::sleep(Duration::from_millis(30)).await;
        let refused = self.refused.lock().unwrap().len() > before;
        let got = if refused { "subscription refused" } else { "subscribed, as to its own" }.to_owned();
        // Where it may listen, what it hears is told at the end.
        self.attempts.push(Attempt { what: format!("listen on {subject}"), got, breached: false });
    }

    /// At the end: what was heard that was the victim's: from one of its streams, or sealed by it.
    pub(crate) fn has_heard(&mut self, sealed: &[u8]) {
        let (streams, sealed) = (format!("_{}", self.victim), String::from_utf8_lossy(sealed).into_owned());
        // What the broker notes of the attacker's own requests is heard in the attacker's own account.
        let of_its_own =
            |of: &str| of.starts_with("$JS.EVENT.ADVISORY.API ") && of.contains(&self.own_account);
        // The subject says nothing: the attacker's own replies go wherever it has directed them in its account.
        let says =
            |of: &str, what: &str| of.split_once(' ').is_some_and(|(_, content)| content.contains(what));
        let is_theirs = |of: &&String| !of_its_own(of) && (says(of, &streams) || says(of, &sealed));
        let theirs: Vec<String> = self.heard.lock().unwrap().iter().filter(is_theirs).cloned().collect();
        let breached = !theirs.is_empty();
        let got = if breached {
            format!("{} messages, such as {}", theirs.len(), short(&theirs[0]))
        } else {
            "nothing".to_owned()
        };
        self.attempts.push(Attempt {
            what: "what all of that heard of the victim".to_owned(),
            got,
            breached,
        });
    }

    /// Asks, and reads the reply. `leaks` tells whether a reply gives away what is not the attacker's.
    pub(crate) async fn asks(&mut self, what: &str, subject: &str, payload: &str) {
        let before = self.victims_state().await;
        let asked = self.client.request(subject.to_owned(), payload.to_owned().into());
        let (got, leaks) = match tokio::time::timeout(WAIT, asked).await {
            Ok(Ok(reply)) => self.reply_means(&reply),
            Ok(Err(error)) => (error.to_string(), false),
            Err(_) => ("no reply".to_owned(), false),
        };
        self.ends(what, got, leaks, before).await;
    }

    /// Publishes with a reply subject of its choice.
    pub(crate) async fn sends(
        &mut self,
        what: &str,
        subject: &str,
        reply: Option<&str>,
        headers: HeaderMap,
        payload: &[u8],
    ) {
        let before = self.victims_state().await;
        let refused = self.refused.lock().unwrap().len();
        let (subject, payload) = (subject.to_owned(), payload.to_vec().into());
        match reply {
            Some(reply) => {
                self.client.publish_with_reply_and_headers(subject, reply.to_owned(), headers, payload).await
            }
            None => self.client.publish_with_headers(subject, headers, payload).await,
        }
        .expect("a connection");
        self.client.flush().await.expect("a connection");
        tokio::time::sleep(WAIT).await;
        let refused = self.refused.lock().unwrap().len() > refused;
        let got = if refused { "refused" } else { "sent, and nothing came of it" }.to_owned();
        self.ends(what, got, false, before).await;
    }

    async fn ends(&mut self, what: &str, got: String, leaks: bool, before: Value) {
        let after = self.victims_state().await;
        let heard = std::mem::take(&mut *self.victim_heard.lock().unwrap());
        let changed = changes(&before, &after);
        let got = match (changed.is_empty(), heard.first()) {
            (false, _) => format!("{got}; CHANGED {}", changed.join(", ")),
            (true, Some(heard)) => format!("{got}; THE VICTIM GOT {}", short(heard)),
            (true, None) => got,
        };
        let breached = leaks || !changed.is_empty() || !heard.is_empty();
        self.attempts.push(Attempt { what: what.to_owned(), got, breached });
    }

    /// Returns the text of a reply, and whether it gives away something of the victim.
    fn reply_means(&self, reply: &Message) -> (String, bool) {
        if let Some(status) = reply.status {
            return (format!("{status} {}", reply.description.as_deref().unwrap_or_default()), false);
        }
        let text = String::from_utf8_lossy(&reply.payload).into_owned();
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        if let Some(error) = json["error"]["description"].as_str() {
            return (error.to_owned(), false);
        }
        let headers = reply.headers.as_ref().map(|headers| format!("{headers:?}")).unwrap_or_default();
        let leaks = text.contains(self.victim) || headers.contains(self.victim) || json["type"].is_string();
        (format!("a reply of {} bytes{}", text.len(), if leaks { ": LEAKS" } else { "" }), leaks)
    }

    /// Everything of the victim that is stored, and how.
    async fn victims_state(&self) -> Value {
        let client = self.observer.client();
        let reply = client.request("$JS.API.STREAM.LIST", "".into()).await.expect("the observer may ask");
        let listed: Value = serde_json::from_slice(&reply.payload).expect("JSON");
        let streams = listed["streams"].as_array().cloned().unwrap_or_default();
        let mut state = serde_json::Map::new();
        for stream in streams {
            let name = stream["config"]["name"].as_str().expect("a name").to_owned();
            if name.contains(self.victim) || name == "PROVE_STATUS" {
                let consumers = client.request(format!("$JS.API.CONSUMER.LIST.{name}"), "".into()).await;
                let consumers: Value =
                    serde_json::from_slice(&consumers.expect("the observer may ask").payload).expect("JSON");
                let names = consumers["consumers"].as_array().cloned().unwrap_or_default();
                let names: Vec<Value> = names.iter().map(|consumer| consumer["config"].clone()).collect();
                let found = serde_json::json!({ "config": stream["config"], "state": stream["state"], "consumers": names });
                state.insert(name, found);
            }
        }
        Value::Object(state)
    }
}

async fn listen(client: &Client, subject: &str, into: &Arc<Mutex<Vec<String>>>) {
    let mut messages = client.subscribe(subject.to_owned()).await.expect("a connection");
    let into = into.clone();
    tokio::spawn(async move {
        while let Some(message) = messages.next().await {
            // It repeats the subject of an unanswered request to its sender.
            if message.status == Some(StatusCode::NO_RESPONDERS) {
                continue;
            }
            let headers = message.headers.as_ref().map(|headers| format!("{headers:?}")).unwrap_or_default();
            let text = String::from_utf8_lossy(&message.payload);
            into.lock().unwrap().push(format!("{} {text} {headers}", message.subject));
        }
    });
}

/// Returns the printable part of a message.
fn short(heard: &str) -> String {
    let printable = heard.chars().map(|letter| if letter.is_ascii_graphic() { letter } else { '.' });
    printable.take(90).collect()
}

/// The streams that are not as they were.
fn changes(before: &Value, after: &Value) -> Vec<String> {
    let before = before.as_object().expect("streams");
    let changed = before.iter().filter(|(name, state)| after.get(name.as_str()) != Some(*state));
    changed
        .map(|(name, state)| match after.get(name.as_str()) {
            None => format!("{name} (gone)"),
            Some(now) => {
                let parts =
                    ["config", "state", "consumers"].into_iter().filter(|part| now[*part] != state[*part]);
                format!("{name} ({})", parts.collect::<Vec<_>>().join(", "))
            }
        })
        .collect()
}

/// All attempts as a table.
pub(crate) fn print(title: &str, attempts: &[Attempt]) {
    println!("\n{title}");
    for Attempt { what, got, breached } in attempts {
        println!("  {} {what:<74} {got}", if *breached { "BREACH" } else { "held  " });
    }
    let breaches = attempts.iter().filter(|attempt| attempt.breached).count();
    println!("  {} attempts, {breaches} breaches", attempts.len());
}
