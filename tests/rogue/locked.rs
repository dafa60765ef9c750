//! A service under an attacker's control: locks itself as a service does, and tries one thing.
//!
//!     rogue locked <folder of the keys> <attempt>

use std::ffi::{CStr, CString, c_long};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::path::Path;
use std::process::{Command, Stdio};

use sealprove::sandbox::{Readable, lock_service};

/// Returns the result, where the arguments ask for an attempt. A process that its attempt ends says nothing.
#[expect(
    clippy::zombie_processes,
    reason = "it may signal no process, starts nothing else and ends before its child"
)]
pub(crate) fn try_out(arguments: impl Iterator<Item = String>) -> Option<String> {
    let arguments: Vec<_> = arguments.skip(1).collect();
    let [mode, keys, attempt] = &arguments[..] else { return None };
    if mode != "locked" {
        return None;
    }
    // It ends when this process does, since this process may not signal it.
    let mut other = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("a child");
    let _input = other.stdin.take();
    let keys = Path::new(keys);
    lock_service(&Readable::without(keys)).expect("a lock");
    let came = need(attempt).or_else(|| touch(attempt, keys)).or_else(|| reach(attempt, other.id()));
    let came = came.unwrap_or_else(|| panic!("there is no attempt {attempt}"));
    Some(came.map_or_else(|error| format!("refused: {error}"), |()| "done".to_owned()))
}

type Came = Option<std::io::Result<()>>;

fn ask<const N: usize>(call: c_long, arguments: [usize; N]) -> std::io::Result<()> {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: hardly any: what the lock must forbid is called, with arguments that are valid where it is not.
    match unsafe { libc::syscall(call, a, b, c, d, e, f) } {
        -1 => Err(std::io::Error::last_os_error()),
        _ => Ok(()),
    }
}

fn at<T>(value: &T) -> usize {
    std::ptr::from_ref(value).expose_provenance()
}

fn text(value: &CStr) -> usize {
    value.as_ptr().expose_provenance()
}

/// Does what a service does all day.
fn need(attempt: &str) -> Came {
    Some(match attempt {
        "start a thread" => {
            std::thread::Builder::new().spawn(|| {}).map(|thread| thread.join().expect("a thread"))
        }
        "connect to a broker" => TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| TcpStream::connect(listener.local_addr()?))
            .map(drop),
        "find a host by its name" => ("localhost", 1).to_socket_addrs().map(drop),
        "read the system's authorities" => std::fs::read_dir("/etc/ssl").map(drop),
        _ => return None,
    })
}

/// Files, of which the keys matter most.
fn touch(attempt: &str, keys: &Path) -> Came {
    let key = keys.join("key.x25519");
    let path = CString::new(key.to_str().unwrap_or_default()).unwrap_or_default();
    let here = usize::try_from(libc::AT_FDCWD & i32::MAX).unwrap_or(0) | 0x8000_0000;
    Some(match attempt {
        "read a key" => std::fs::read(&key).map(drop),
        "read a key by a link" => std::fs::read(keys.join("../link")).map(drop),
        "read a key by another way" => std::fs::read(Path::new("/proc/self/root").join(&key)).map(drop),
        "list the keys" => std::fs::read_dir(keys).map(drop),
        "give a key another name" => std::fs::hard_link(&key, keys.join("../mine")),
        "move a key" => std::fs::rename(&key, keys.join("../mine")),
        "remove a key" => std::fs::remove_file(&key),
        "write over a key" => std::fs::write(&key, b"mine"),
        "let others read a key" => ask(libc::SYS_fchmodat, [here, text(&path), 0o644]),
        "give a key away" => ask(libc::SYS_fchownat, [here, text(&path), 65_534, 65_534, 0]),
        "mark a key" => ask(libc::SYS_setxattr, [text(&path), text(c"user.x"), text(c"y"), 1, 0]),
        "open a file by its handle" => ask(libc::SYS_open_by_handle_at, [here, at(&[0_u64; 4]), 0]),
        "write a file" => std::fs::write(keys.join("../written"), b"mine"),
        "make a folder" => std::fs::create_dir(keys.join("../made")),
        "read the password file" => std::fs::read("/etc/passwd").map(drop),
        "mount a file system" => ask(libc::SYS_mount, [text(c"none"), text(c"/mnt"), text(c"tmpfs"), 0, 0]),
        "mount by the new calls" => ask(libc::SYS_fsopen, [text(c"tmpfs"), 0]),
        "change its root" => ask(libc::SYS_chroot, [text(c"/")]),
        _ => return None,
    })
}

/// Other processes, and the kernel.
fn reach(attempt: &str, other: u32) -> Came {
    let (pid, mut word) = (usize::try_from(other).unwrap_or(0), 0_u64);
    let ours = [std::ptr::from_mut(&mut word).expose_provenance(), 8];
    let signal = usize::try_from(libc::SIGCONT).unwrap_or(0);
    let every_process = usize::try_from(u32::MAX).unwrap_or(0);
    Some(match attempt {
        "start a program" => {
            ask(libc::SYS_execve, [text(c"/bin/true"), at(&[text(c"/bin/true"), 0]), at(&0_usize)])
        }
        "start a program as a child" => Command::new("/bin/true").status().map(drop),
        "start a program from memory" => ask(libc::SYS_memfd_create, [text(c""), 0]),
        "start a process" => ask(libc::SYS_clone, [usize::try_from(libc::SIGCHLD).unwrap_or(0)]),
        "have a namespace of its own" => ask(libc::SYS_unshare, [0x1000_0000]),
        "start a process with a namespace" => ask(libc::SYS_clone, [0x1000_0011]),
        "trace a process" => ask(libc::SYS_ptrace, [0x4206, pid, 0, 0]),
        "read a process's memory" => ask(libc::SYS_process_vm_readv, [pid, at(&ours), 1, at(&ours), 1]),
        "open a process's memory" => std::fs::File::open(format!("/proc/{other}/mem")).map(drop),
        "look at a process's files" => std::fs::read_dir(format!("/proc/{other}/fd")).map(drop),
        "take a process's descriptor" => ask(libc::SYS_pidfd_getfd, [0, 0, 0]),
        "signal a process" => ask(libc::SYS_kill, [pid, signal]),
        "signal a process's thread" => ask(libc::SYS_tgkill, [pid, pid, signal]),
        // Signal 0 does nothing, to whomever it is sent.
        "signal every process" => ask(libc::SYS_kill, [every_process, 0]),
        "limit a process" => ask(libc::SYS_prlimit64, [pid, 7, 0, at(&[0_u64; 2])]),
        "make a process less urgent" => ask(libc::SYS_setpriority, [0, pid, 1]),
        "ask by a ring" => ask(libc::SYS_io_uring_setup, [1, at(&[0_u64; 16])]),
        "load a program into the kernel" => ask(libc::SYS_bpf, [0, 0, 0]),
        "count events of the processor" => ask(libc::SYS_perf_event_open, [at(&[0_u64; 16]), 0, 0, 0, 0]),
        "handle page faults" => ask(libc::SYS_userfaultfd, [0]),
        "set the clock" => ask(libc::SYS_clock_settime, [99, at(&[0_u64; 2])]),
        #[cfg(target_arch = "x86_64")]
        "start a program by x32" => {
            ask(0x4000_0000 | 520, [text(c"/bin/true"), at(&[text(c"/bin/true"), 0]), at(&0_usize)])
        }
        #[cfg(target_arch = "x86_64")]
        "trace a process by x32" => ask(0x4000_0000 | 521, [0x4206, pid, 0, 0]),
        _ => return None,
    })
}
