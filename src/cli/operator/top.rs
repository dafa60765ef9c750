//! `sealprove top`: the activity of services and their broker, live. It needs the service's configuration, or an admin
//! address and a connection to the broker.

mod view;

mod frame;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use async_nats::Client;
use console::Term;

use crate::causes::with_causes;
use crate::cli::client::Connection;
use crate::cli::exit::{CliResult, Exit, Failure};
use crate::cli::output::{self, OutputError};
use crate::cli::signals::unless_stopped;
use crate::config::{NatsConfig, ServiceConfig};
use crate::http;
use crate::operator::overview::{self, Overview};
use crate::protocol::{Tenant, UnixSeconds};
use crate::service::status::Snapshot;
use view::{ServiceView, View};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// The service's configuration, which names its admin address, its broker and its tenants
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The admin address of a service; repeat it for each service [default: from the configuration]
    #[arg(long, value_name = "ADDRESS")]
    admin: Vec<SocketAddr>,
    /// Interval between updates
    #[arg(long, default_value = "1s", value_parser = humantime::parse_duration)]
    every: Duration,
    /// Print one screen and end
    #[arg(long)]
    once: bool,
    /// Print JSON once and end
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

/// The services and the broker to ask.
struct Sources {
    admin: Vec<SocketAddr>,
    nats: NatsConfig,
    tenants: Vec<Tenant>,
    client: Option<Client>,
}

pub(crate) async fn run(args: &Args) -> CliResult {
    let mut sources = Sources::from_args(args)?;
    if args.once || args.json {
        let view = sources.fetch().await;
        if args.json {
            output::json(&view)?
        } else {
            print(&view)?
        }
        return Ok(if view.is_complete() { Exit::Done } else { Exit::Unreachable });
    }
    let term = Term::buffered_stdout();
    if !term.is_term() {
        let message = "standard output is not a terminal; use --once or --json";
        return Err(Failure::new(Exit::Usage, message));
    }
    term.hide_cursor()?;
    term.clear_screen()?;
    let watched = unless_stopped(watch(&mut sources, &term, args.every)).await;
    term.show_cursor()?;
    term.flush()?;
    watched?.unwrap_or(Ok(()))?;
    Ok(Exit::Done)
}

async fn watch(sources: &mut Sources, term: &Term, every: Duration) -> Result<(), Failure> {
    loop {
        let view = sources.fetch().await;
        let (height, width) = term.size();
        let lines = frame::lines(&view, usize::from(width).max(frame::WIDTH), usize::from(height));
        draw(term, &lines)?;
        tokio::time::sleep(every).await;
    }
}

/// Draws over the last screen. The terminal is buffered and gets it in one piece, so that nothing flickers.
fn draw(term: &Term, lines: &[String]) -> std::io::Result<()> {
    term.move_cursor_to(0, 0)?;
    for (number, line) in lines.iter().enumerate() {
        if number > 0 {
            term.write_line("")?;
        }
        term.clear_line()?;
        term.write_str(line)?;
    }
    term.clear_to_end_of_screen()?;
    term.flush()
}

fn print(view: &View) -> Result<(), OutputError> {
    frame::lines(view, frame::WIDTH, frame::HEIGHT).iter().try_for_each(|line| say!("{line}"))
}

impl Sources {
    fn from_args(args: &Args) -> Result<Self, Failure> {
        let Some(path) = &args.config else {
            if args.admin.is_empty() {
                let message =
                    "give the service's configuration with --config, or its admin address with --admin";
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

    async fn fetch(&mut self) -> View {
        let mut services = Vec::new();
        for admin in &self.admin {
            services.push(ServiceView { admin: *admin, top: snapshot(*admin).await });
        }
        View { at: UnixSeconds::now(), services, broker: self.fetch_overview().await }
    }

    async fn fetch_overview(&mut self) -> Result<Overview, String> {
        let client = match &self.client {
            Some(client) => client.clone(),
            None => {
                let connected = self.nats.connect("sealprove top").await;
                self.client.insert(connected.map_err(|error| with_causes(&error))?).clone()
            }
        };
        overview::fetch(&client, &self.tenants).await
    }
}

/// Fetches the snapshot of a service from its admin address.
pub(crate) async fn snapshot(admin: SocketAddr) -> Result<Snapshot, String> {
    let page = http::get(&admin.to_string(), "/top.json").await.map_err(|error| error.to_string())?;
    serde_json::from_slice(&page).map_err(|_| "this is not a page of a sealprove of this version".to_owned())
}
