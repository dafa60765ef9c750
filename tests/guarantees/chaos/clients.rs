//! The clients, as the harness sees them: processes that it starts, kills and replaces.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Trouble;
use super::client::{self, Orders, journals, tickets};
use crate::kit::Process;

/// Number of clients at once.
const CLIENTS: usize = 2;
/// Interval between looks at one.
const LOOK: Duration = Duration::from_millis(200);
/// Time that one may take to finish what it is submitting.
const STOP: Duration = Duration::from_secs(90);

/// A client, whichever process it is at the moment.
type Current = Arc<Mutex<Option<Process>>>;

/// All clients.
pub(crate) struct Clients {
    current: Vec<Current>,
    supervisors: Vec<JoinHandle<Result<(), Trouble>>>,
    stop: watch::Sender<bool>,
}

impl Clients {
    /// Starts clients that submit `rate` jobs in a second, all together.
    pub(crate) fn start(folder: &std::path::Path, rate: f64, seed: u64) -> Result<Self, Trouble> {
        std::fs::create_dir(tickets(folder))?;
        std::fs::create_dir(journals(folder))?;
        let (stop, stopped) = watch::channel(false);
        let mut clients = Clients { current: Vec::new(), supervisors: Vec::new(), stop };
        for index in 0..CLIENTS {
            let current = Current::default();
            let supervisor = Supervisor {
                folder: folder.to_owned(),
                index,
                rate: rate / CLIENTS as f64,
                seed,
                current: current.clone(),
                stopped: stopped.clone(),
            };
            clients.supervisors.push(tokio::spawn(supervisor.run()));
            clients.current.push(current);
        }
        Ok(clients)
    }

    /// Kills one of them; says which.
    pub(crate) fn kill(&self, pick: u64) -> usize {
        let index = usize::try_from(pick % CLIENTS as u64).expect("an index");
        if let Some(process) = &mut *lock(&self.current[index]) {
            process.crash();
        }
        index
    }

    /// Has all of them finish what they are submitting.
    pub(crate) async fn stop(self) -> Result<(), Trouble> {
        self.stop.send_replace(true);
        for supervisor in self.supervisors {
            let stopped = tokio::time::timeout(STOP, supervisor).await;
            stopped.map_err(|_| "a client does not stop when it is told to")???;
        }
        Ok(())
    }
}

fn lock(current: &Current) -> std::sync::MutexGuard<'_, Option<Process>> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Supervisor {
    folder: PathBuf,
    index: usize,
    rate: f64,
    seed: u64,
    current: Current,
    stopped: watch::Receiver<bool>,
}

impl Supervisor {
    async fn run(mut self) -> Result<(), Trouble> {
        for life in 0.. {
            *lock(&self.current) = Some(self.start(life)?);
            let mut told = false;
            loop {
                let ended = lock(&self.current).as_mut().and_then(Process::exit_code);
                match ended {
                    Some(0) => return Ok(()),
                    // A client that was killed is replaced; one that cannot go on is not what is tested.
                    Some(-1) => break,
                    Some(code) => return Err(format!("client {} ended with {code}", self.index).into()),
                    None => {}
                }
                if *self.stopped.borrow_and_update() && !told {
                    if let Some(process) = &*lock(&self.current) {
                        process.terminate();
                    }
                    told = true;
                }
                tokio::time::sleep(LOOK).await;
            }
        }
        Ok(())
    }

    fn start(&self, life: usize) -> Result<Process, Trouble> {
        let name = format!("client-{}-{life}", self.index);
        let orders =
            Orders { folder: self.folder.clone(), name: name.clone(), rate: self.rate, seed: self.seed };
        let log = std::fs::File::create(self.folder.join(format!("{name}.log")))?;
        let mut command = client::command(&orders)?;
        Ok(Process::start(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log)))
    }
}
