//! The service's end of a chamber, blocking and without a runtime.

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Pid;
use sealprove::frame::{self, ChamberEvent, End, FrameError, JobHead, Order, PREFIX_BYTES, ReplyHead};
use sealprove::protocol::{
    Answer, AnswerBinding, AnswerHeader, AnswerMode, AnswerSecret, Deployment, JobHeader, JobId, JobSubject,
    KeyId, Lane, Scheme, Sealed, Tenant, UnixSeconds, VerifyingKeyPin, key_id, public_key, seal,
};
use sealprove::secret::PrivateKey;
use serde_json::Value;
use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
pub(crate) const DEPLOYMENT: &str = "lab";
/// Bytes that a job may allocate, unless a test says otherwise.
pub(crate) const MEMORY_BYTES: u64 = 64 << 20;

/// Makes a recipient key in a folder as `sealprove keys new` does, of bytes that are clamped already
/// (RFC 7748 section 5), so that every copy of it looks the same.
pub(crate) fn make_key(folder: &Path) -> PrivateKey {
    let key = PrivateKey::fill(|bytes| {
        getrandom::fill(bytes)?;
        bytes[0] &= 248;
        bytes[31] = bytes[31] & 127 | 64;
        Ok::<_, getrandom::Error>(())
    });
    let key = key.unwrap();
    write_key(&folder.join(format!("{}.x25519", id_of(&key))), key.expose(), 0o600);
    key
}

pub(crate) fn write_key(path: &Path, bytes: &[u8], mode: u32) {
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

pub(crate) fn id_of(key: &PrivateKey) -> KeyId {
    key_id(Scheme::X25519, &public_key(Scheme::X25519, key))
}

/// A chamber that is ready, and all that its service knows.
pub(crate) struct Chamber {
    pub(crate) key: PrivateKey,
    pub(crate) ready: ChamberEvent,
    child: Child,
    control: Option<UnixStream>,
    folder: TempDir,
    tickets: u64,
    events: Vec<ChamberEvent>,
}

impl Chamber {
    /// Starts one of this program and these circuits, after `change` had its way with the command and the folder.
    pub(crate) fn start_program(
        program: &Path,
        circuits: &[&str],
        jobs_max: usize,
        change: impl FnOnce(&mut Command, &Path),
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let keys = folder.path().join("keys");
        fs::create_dir(&keys).unwrap();
        let key = make_key(&keys);
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut command = command(program, folder.path(), theirs);
        command.arg("--jobs-max").arg(jobs_max.to_string());
        command.args(circuits.iter().flat_map(|circuit| ["--circuit", circuit]));
        change(&mut command, folder.path());
        if !command.get_args().any(|argument| argument == "--sandbox") {
            command.args(["--sandbox", "on"]);
        }
        let child = command.spawn().unwrap();
        // The command holds the other end of the control connection.
        drop(command);
        let mut control = ours;
        let ready = read_event(&mut control).expect("the chamber is ready");
        Chamber { key, ready, child, control: Some(control), folder, tickets: 0, events: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Returns what it and its jobs have written to standard error.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.folder.path().join("chamber.sock")
    }

    pub(crate) fn connect(&self) -> io::Result<UnixStream> {
        let connection = UnixStream::connect(self.socket())?;
        connection.set_read_timeout(Some(PATIENCE))?;
        Ok(connection)
    }

    /// A job of that witness, to be changed before it is sent.
    pub(crate) fn job(&self, circuit: &str, witness: &Value) -> Job {
        self.job_of_bytes(circuit, witness.to_string().as_bytes())
    }

    pub(crate) fn job_of_bytes(&self, circuit: &str, witness: &[u8]) -> Job {
        let header = self.header(circuit);
        self.job_of_header(header, witness)
    }

    pub(crate) fn header(&self, circuit: &str) -> JobHeader {
        let subject = JobSubject {
            tenant: Tenant::default(),
            lane: Lane::Standard,
            circuit: circuit.parse().unwrap(),
            job: JobId::random(),
        };
        JobHeader {
            subject,
            key: id_of(&self.key),
            expires: UnixSeconds(unix_now() + 600),
            answer: AnswerMode::Sealed,
            verifying_key: VerifyingKeyPin::Any,
        }
    }

    pub(crate) fn job_of_header(&self, header: JobHeader, witness: &[u8]) -> Job {
        let info = header.info(&DEPLOYMENT.parse::<Deployment>().unwrap());
        let sealed = seal(Scheme::X25519, &public_key(Scheme::X25519, &self.key), &info, witness).unwrap();
        let head = JobHead::new(header, 1, 7);
        Job { head, info, sealed, limit_ms: 60_000, memory_bytes: MEMORY_BYTES, threads: 1 }
    }

    /// Sends an order and a frame, and does not wait.
    pub(crate) fn send(&mut self, job: &Job) -> Sent {
        let frame = frame::encode(&job.head, &job.sealed.payload);
        let Job { limit_ms, memory_bytes, threads, .. } = *job;
        let (ticket, connection) = self.order(Order { ticket: 0, limit_ms, memory_bytes, threads }, &frame);
        let secret = job.sealed.answer_secret.clone();
        Sent { ticket, connection, info: job.info.clone(), enc: job.sealed.enc.clone(), secret }
    }

    /// An order of one thread and that limit, and whatever stands for a frame.
    pub(crate) fn order_of(&mut self, limit_ms: u64, frame: &[u8]) -> (u64, UnixStream) {
        self.order(Order { ticket: 0, limit_ms, memory_bytes: MEMORY_BYTES, threads: 1 }, frame)
    }

    /// Sends an order under a ticket of its own, and whatever stands for a frame.
    pub(crate) fn order(&mut self, order: Order, frame: &[u8]) -> (u64, UnixStream) {
        self.tickets += 1;
        let order = Order { ticket: self.tickets, ..order };
        let mut connection = self.connect().unwrap();
        connection.write_all(&[&order.to_bytes()[..], frame].concat()).unwrap();
        (self.tickets, connection)
    }

    pub(crate) fn start_job(&mut self, circuit: &str, witness: &Value) -> Sent {
        self.send(&self.job(circuit, witness))
    }

    /// Sends a job, and waits for its answer and its end.
    pub(crate) fn prove(&mut self, circuit: &str, witness: &Value) -> (Answer, End) {
        let mut sent = self.start_job(circuit, witness);
        let (answer, _) = sent.answer();
        (answer, self.end_of(sent.ticket))
    }

    /// The process of a job, once it has started.
    pub(crate) fn pid_of(&mut self, ticket: u64) -> i32 {
        self.find(|event| match event {
            ChamberEvent::Started { ticket: started, pid } if *started == ticket => Some(*pid),
            _ => None,
        })
    }

    /// Waits for the end of a job.
    pub(crate) fn end_of(&mut self, ticket: u64) -> End {
        self.find(|event| match event {
            ChamberEvent::Ended { ticket: ended, end, .. } if *ended == ticket => Some(*end),
            _ => None,
        })
    }

    fn find<T>(&mut self, wanted: impl Fn(&ChamberEvent) -> Option<T>) -> T {
        loop {
            if let Some(found) = self.events.iter().find_map(&wanted) {
                return found;
            }
            let control = self.control.as_mut().expect("the control connection is open");
            self.events.push(read_event(control).expect("an event"));
        }
    }

    /// Everything that the chamber has said, once it has said nothing for `quiet`.
    pub(crate) fn events_until_quiet(&mut self, quiet: Duration) -> &[ChamberEvent] {
        let control = self.control.as_mut().expect("the control connection is open");
        control.set_read_timeout(Some(quiet)).unwrap();
        while let Ok(event) = read_event(control) {
            self.events.push(event);
        }
        control.set_read_timeout(Some(PATIENCE)).unwrap();
        &self.events
    }

    /// Checks whether the control connection has ended.
    pub(crate) fn control_has_ended(&mut self) -> bool {
        let mut byte = [0];
        matches!(self.control.as_mut().map(|control| control.read(&mut byte)), Some(Ok(0)))
    }

    /// Closes the control connection, which is the order to end.
    pub(crate) fn close_control(&mut self) {
        self.control = None;
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        wait_until("the chamber ends", || self.child.try_wait().unwrap())
    }

    pub(crate) fn kill_hard(&mut self) {
        self.child.kill().unwrap();
    }
}

impl Drop for Chamber {
    fn drop(&mut self) {
        // Its jobs die with it.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A chamber's command without its circuits, as the service makes it. Its log is a file.
pub(crate) fn command(program: &Path, folder: &Path, control: UnixStream) -> Command {
    let mut command = Command::new(program);
    command.arg("chamber").arg("--listen").arg(folder.join("chamber.sock"));
    command.arg("--keys").arg(folder.join("keys"));
    command.arg("--deployment").arg(DEPLOYMENT);
    let log = fs::File::create(folder.join("log")).unwrap();
    command.env_clear().stdin(OwnedFd::from(control)).stdout(Stdio::null()).stderr(log);
    command
}

/// A job before it is sent.
pub(crate) struct Job {
    pub(crate) head: JobHead,
    pub(crate) info: Vec<u8>,
    pub(crate) sealed: Sealed,
    pub(crate) limit_ms: u64,
    pub(crate) memory_bytes: u64,
    pub(crate) threads: u32,
}

/// A job that was sent.
pub(crate) struct Sent {
    pub(crate) ticket: u64,
    pub(crate) connection: UnixStream,
    info: Vec<u8>,
    enc: Vec<u8>,
    secret: AnswerSecret,
}

impl Sent {
    /// The reply's frame, and nothing after it.
    pub(crate) fn reply(&mut self) -> Result<(ReplyHead, Vec<u8>), NoFrame> {
        let reply = read_frame(&mut self.connection)?;
        match self.connection.read(&mut [0]) {
            Ok(0) => Ok(reply),
            Ok(_) => Err(NoFrame::More),
            Err(error) => Err(error.into()),
        }
    }

    /// The answer, opened as its sender opens it, and its payload.
    pub(crate) fn answer(&mut self) -> (Answer, Vec<u8>) {
        let (head, payload) = self.reply().expect("a reply");
        assert_eq!(self.opens(&head, &payload).map(|answer| answer.code()), Some(head.code));
        (self.opens(&head, &payload).unwrap(), payload)
    }

    pub(crate) fn opens(&self, head: &ReplyHead, payload: &[u8]) -> Option<Answer> {
        let header = AnswerHeader {
            code: head.code,
            mode: head.mode,
            content_type: head.content_type.clone(),
            tag: head.tag.clone(),
        };
        let binding = AnswerBinding { info: &self.info, enc: &self.enc, secret: &self.secret };
        let document = binding.open_answer(&header, payload).ok()?;
        Some(serde_json::from_slice(&document).expect("an answer"))
    }
}

/// The cause of a missing frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoFrame {
    /// The connection ended.
    End,
    Io(io::ErrorKind),
    Frame(FrameError),
    /// Something came after it.
    More,
}

impl From<io::Error> for NoFrame {
    /// An end is a reset where the other side had not read everything.
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof => NoFrame::End,
            other => NoFrame::Io(other),
        }
    }
}

impl From<FrameError> for NoFrame {
    fn from(error: FrameError) -> Self {
        NoFrame::Frame(error)
    }
}

fn read_frame<T: serde::de::DeserializeOwned>(stream: &mut UnixStream) -> Result<(T, Vec<u8>), NoFrame> {
    let mut prefix = [0; PREFIX_BYTES];
    stream.read_exact(&mut prefix)?;
    let (head_bytes, body_bytes) = frame::lengths(prefix)?;
    let mut head = vec![0; head_bytes];
    stream.read_exact(&mut head)?;
    let mut body = vec![0; body_bytes];
    stream.read_exact(&mut body)?;
    Ok((frame::head(&head)?, body))
}

fn read_event(control: &mut UnixStream) -> Result<ChamberEvent, NoFrame> {
    read_frame(control).map(|(event, _)| event)
}

/// Returns the report of `draws-v1` or `probes-v1`.
pub(crate) fn report(answer: Answer) -> Value {
    serde_json::from_slice(&answer.output.expect("a report").0).unwrap()
}

/// The message of an answer that holds no proof.
pub(crate) fn message(answer: &Answer) -> &str {
    &answer.error.as_ref().expect("an error").message
}

/// Waits for the end of the connection, by itself or by a reset.
pub(crate) fn is_closed(connection: &mut UnixStream) -> bool {
    connection.read_exact(&mut [0]).is_err_and(|error| NoFrame::from(error) == NoFrame::End)
}

pub(crate) fn is_alive(pid: i32) -> bool {
    rustix::process::test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
}

pub(crate) fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Waits for what must come.
pub(crate) fn wait_until<T>(what: &str, mut now: impl FnMut() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        if let Some(there) = now() {
            return there;
        }
        assert!(Instant::now() < until, "{what} in {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}
