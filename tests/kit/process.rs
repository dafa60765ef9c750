//! Programs and processes.

use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal};

/// The program under test.
pub(crate) fn sealprove() -> PathBuf {
    env!("CARGO_BIN_EXE_sealprove").into()
}

/// The same program with circuits that misbehave: the example `rogue`, which cargo builds with the tests.
pub(crate) fn rogue() -> PathBuf {
    example("rogue")
}

/// A program that cargo builds with the tests.
pub(crate) fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the path of this test");
    let target = test.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps");
    let path = target.join("examples").join(name);
    assert!(path.is_file(), "{} is missing; build it with `cargo build --example {name}`", path.display());
    path
}

/// An ignored test of this binary, as the command of a process of its own. `module` is the caller's `module_path!()`.
pub(crate) fn own_test(module: &str, name: &str) -> Command {
    let (_, path) = module.split_once("::").expect("a module of the suite");
    let mut command = Command::new(std::env::current_exe().expect("the path of this test"));
    command.args(["--exact", &format!("{path}::{name}"), "--ignored", "--nocapture"]);
    command
}

/// The broker's program.
pub(crate) fn nats_server() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools/bin/nats-server");
    let program = std::env::var_os("SEALPROVE_NATS_SERVER").map_or(own, PathBuf::from);
    assert!(program.is_file(), "{} is missing; install it with `make tools`", program.display());
    program
}

/// A process with all that it has started; killed on drop.
pub(crate) struct Process {
    child: Child,
}

impl Process {
    pub(crate) fn start(command: &mut Command) -> Self {
        let child = command.process_group(0).spawn();
        Process { child: child.unwrap_or_else(|error| panic!("start {command:?}: {error}")) }
    }

    pub(crate) fn pid(&self) -> i32 {
        self.child.id().cast_signed()
    }

    pub(crate) fn terminate(&self) {
        kill(self.pid(), Signal::TERM);
    }

    /// The exit code of a process that ended by itself: `None` while it runs, -1 where a signal ended it.
    pub(crate) fn exit_code(&mut self) -> Option<i32> {
        self.child.try_wait().expect("wait for a child").map(|status| status.code().unwrap_or(-1))
    }

    /// Kills this process alone; what it has started lives on, as after a crash.
    pub(crate) fn crash(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let group = Pid::from_raw(self.pid()).expect("a process id");
        let _ = rustix::process::kill_process_group(group, Signal::KILL);
        let _ = self.child.wait();
    }
}

/// Sends a signal to a process that may be gone.
pub(crate) fn kill(pid: i32, signal: Signal) {
    let _ = rustix::process::kill_process(Pid::from_raw(pid).expect("a process id"), signal);
}

/// Checks whether a process still runs; one that is dead and not reaped does not.
pub(crate) fn is_alive(pid: i32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state != 'Z' && state != 'X')
}

/// Checks whether a process is stopped, as by a signal.
pub(crate) fn is_stopped(pid: i32) -> bool {
    state_and_parent(pid).is_some_and(|(state, _)| state == 'T')
}

/// The processes that `parent` has started and that are alive.
pub(crate) fn children_of(parent: i32) -> Vec<i32> {
    let entries = std::fs::read_dir("/proc").expect("read /proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let alive = pids.filter(|pid| is_alive(*pid));
    alive.filter(|pid| state_and_parent(*pid).is_some_and(|(_, of)| of == parent)).collect()
}

/// From `/proc/<pid>/stat`: `pid (name) state parent …`, where the name may hold anything.
fn state_and_parent(pid: i32) -> Option<(char, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat[stat.rfind(')')? + 1..].split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// The result of a command that has ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    /// Runs a command to its end, with `input` on its standard input.
    pub(crate) fn run(command: &mut Command, input: &[u8]) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("start {command:?}: {error}"));
        // A command that reads nothing may be gone already.
        let _ = child.stdin.take().expect("a pipe").write_all(input);
        let output = child.wait_with_output().expect("wait for a child");
        Ran {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).expect("text on standard output"),
            stderr: String::from_utf8(output.stderr).expect("text on standard error"),
        }
    }

    /// The same, if it ended with this exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// The same, if its standard error holds this text.
    #[track_caller]
    pub(crate) fn says(self, text: &str) -> Self {
        assert!(self.stderr.contains(text), "expected {text:?} in stderr:\n{}", self.stderr);
        self
    }

    /// Its standard output, without the newline at the end.
    pub(crate) fn line(&self) -> &str {
        self.stdout.trim_end()
    }

    /// Its standard output as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error} in:\n{}", self.stdout))
    }
}
