//! `sealprove top`: what services and their broker are doing, at a glance and live. It needs what an operator has:
//! the service's configuration, or an admin address and a way to the broker.

mod frame;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::Client;
use console::Term;
use serde::Serialize;

use super::output::{self, say};
use super::signals::unless_stopped;
use super::{Connection, Exit, Failure, Outcome_};
use crate::config::NatsConfig;
use crate::config::ServiceConfig;
use crate::http;
use crate::operator::overview::{self, Overview};
use crate::protocol::{Tenant, UnixSeconds};
use crate::service::status::Snapshot as Top;

#[derive(clap::Args)]
pub(super) struct Args {
    /// The service's configuration: where its admin address and its broker are, and whose jobs it proves
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin address of a service; several, one after the other [default: what the configuration says]
    #[arg(long, value_name = "ADDRESS")]
    admin: Vec<SocketAddr>,
    /// How often it looks
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    every: Duration,
    /// Look once, print, and end
    #[arg(long)]
    once: bool,
    /// The same as JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Everything that is shown.
#[derive(Debug, Serialize)]
struct View {
    at: UnixSeconds,
    services: Vec<ServiceView>,
    #[serde(serialize_with = "or_error")]
    broker: Result<Overview, String>,
}

#[derive(Debug, Serialize)]
struct ServiceView {
    admin: SocketAddr,
    #[serde(serialize_with = "or_error")]
    top: Result<Top, String>,
}

fn or_error<T: Serialize, S: serde::Serializer>(
    result: &Result<T, String>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match result {
        Ok(value) => value.serialize(serializer),
        Err(error) => serde_json::json!({ "error": error }).serialize(serializer),
    }
}

/// Where to look.
struct Sources {
    admin: Vec<SocketAddr>,
    nats: NatsConfig,
    tenants: Vec<Tenant>,
    client: Option<Client>,
}

pub(super) async fn run(args: &Args) -> Outcome_ {
    let mut sources = Sources::of(args)?;
    if args.once || args.json {
        let view = sources.look().await;
        match args.json {
            true => output::json(&view)?,
            false => print(&view)?,
        }
        return Ok(if view.has_answer() { Exit::Done } else { Exit::Unreachable });
    }
    let term = Term::stdout();
    if !term.is_term() {
        let message = "standard output is no terminal: --once prints what is there, --json as JSON";
        return Err(Failure::new(Exit::Usage, message));
    }
    term.hide_cursor()?;
    term.clear_screen()?;
    let watched = unless_stopped(watch(&mut sources, &term, args.every)).await;
    term.show_cursor()?;
    watched?.unwrap_or(Ok(()))?;
    Ok(Exit::Done)
}

async fn watch(sources: &mut Sources, term: &Term, every: Duration) -> Result<(), Failure> {
    loop {
        let view = sources.look().await;
        let (height, width) = term.size();
        let lines = frame::lines(&view, usize::from(width).max(frame::WIDTH), usize::from(height));
        // In one piece, so that nothing flickers.
        let mut text = String::from("\x1b[H");
        for line in lines {
            text.push_str(&line);
            text.push_str("\x1b[K\n");
        }
        term.write_str(text.trim_end_matches('\n'))?;
        term.clear_to_end_of_screen()?;
        tokio::time::sleep(every).await;
    }
}

fn print(view: &View) -> Result<(), output::OutputError> {
    frame::lines(view, frame::WIDTH, frame::HEIGHT).iter().try_for_each(|line| say!("{line}"))
}

impl View {
    fn has_answer(&self) -> bool {
        self.broker.is_ok() && self.services.iter().all(|service| service.top.is_ok())
    }
}

impl Sources {
    fn of(args: &Args) -> Result<Self, Failure> {
        let Some(path) = &args.config else {
            if args.admin.is_empty() {
                let message =
                    "name the service's configuration with --config, or its admin address with --admin";
                return Err(Failure::new(Exit::Usage, message));
            }
            let config = args.connection.config()?;
            return Ok(Sources {
                admin: args.admin.clone(),
                nats: config.nats,
                tenants: vec![config.tenant],
                client: None,
            });
        };
        let config = ServiceConfig::read(path)?;
        let admin = if args.admin.is_empty() { vec![config.admin.listen] } else { args.admin.clone() };
        let tenants = config.tenants.names().cloned().collect();
        Ok(Sources { admin, nats: config.nats, tenants, client: None })
    }

    async fn look(&mut self) -> View {
        let mut services = Vec::new();
        for admin in &self.admin {
            services.push(ServiceView { admin: *admin, top: top_of(*admin).await });
        }
        View { at: UnixSeconds::now(), services, broker: self.broker().await }
    }

    async fn broker(&mut self) -> Result<Overview, String> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let connected = self.nats.connect("sealprove top").await;
                let client = connected.map_err(|error| Failure::new(Exit::Unreachable, error).text())?;
                self.client.insert(client).clone()
            }
        };
        overview::look(&client, &self.tenants).await
    }
}

/// What a service says of itself.
async fn top_of(admin: SocketAddr) -> Result<Top, String> {
    let page = http::get(&admin.to_string(), "/top.json").await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&page).map_err(|_| "this is no page of a sealprove of this version".to_owned())
}
