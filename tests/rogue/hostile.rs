//! `breaks-v1` tries one thing that no job may do, on one thread of its pool, by raw system calls; what came of
//! it, where it is still there to say so, is its output. What it must not do is so harmless that a lock that is
//! open does no damage.

use std::ffi::{CStr, c_long};

use libc::{
    AT_FDCWD, MAP_ANONYMOUS, MAP_FAILED, MAP_GROWSDOWN, MAP_PRIVATE, MAP_SHARED, O_RDONLY, PROT_EXEC,
    PROT_NONE, PROT_READ, PROT_WRITE, SIG_BLOCK, SIGALRM, SIGCHLD, SIGCONT, SIGKILL, SIGSYS, SIGXCPU,
};

use crate::Script;

const PAGE_BYTES: usize = 4096;
const PIECE_BYTES: usize = 1 << 20;
const FILE: &CStr = c"/etc/hostname";
const PROGRAM: &CStr = c"/bin/true";
const EMPTY: &CStr = c"";

/// Tries what the script names, on the thread that it names.
pub(crate) fn break_out(script: &Script) -> Option<Vec<u8>> {
    let came = rayon::broadcast(|at| (at.index() == script.thread).then(|| attempt(script)));
    let came = came.into_iter().flatten().next();
    Some(serde_json::json!({ "came": came }).to_string().into_bytes())
}

/// The result: the negated error, or the kernel's value.
fn attempt(script: &Script) -> i64 {
    let name = script.attempt.as_str();
    let themes = [files, network, processes, limits, memory, descriptors, interfaces, itself];
    let came = themes.iter().find_map(|theme| theme(name, script));
    came.unwrap_or_else(|| panic!("there is no such attempt"))
}

/// One system call.
fn ask<const N: usize>(call: c_long, arguments: [usize; N]) -> i64 {
    let mut all = [0; 6];
    all[..N].copy_from_slice(&arguments);
    let [a, b, c, d, e, f] = all;
    // SAFETY: hardly any: what a lock must forbid is called, with arguments that are valid where it is not.
    let came = unsafe { libc::syscall(call, a, b, c, d, e, f) };
    match came {
        -1 => -i64::from(std::io::Error::last_os_error().raw_os_error().unwrap_or(0)),
        came => came,
    }
}

fn at<T>(value: &T) -> usize {
    std::ptr::from_ref(value).expose_provenance()
}

fn text(value: &CStr) -> usize {
    value.as_ptr().expose_provenance()
}

/// A process id, a flag or a descriptor as an argument.
fn number(value: i32) -> usize {
    usize::try_from(i64::from(value) & 0xffff_ffff).unwrap_or(0)
}

/// A call that returns twice, where it may: the second one leaves at once.
fn split<const N: usize>(call: c_long, arguments: [usize; N]) -> i64 {
    let came = ask(call, arguments);
    if came == 0 {
        ask(libc::SYS_exit_group, [0]);
    }
    came
}

fn files(name: &str, _: &Script) -> Option<i64> {
    let here = number(AT_FDCWD);
    Some(match name {
        "open a file" => ask(libc::SYS_openat, [here, text(FILE), number(O_RDONLY)]),
        #[cfg(target_arch = "x86_64")]
        "open a file by the old call" => ask(libc::SYS_open, [text(FILE), 0]),
        "open a file by the new call" => ask(libc::SYS_openat2, [here, text(FILE), at(&[0_u64; 3]), 24]),
        "open the memory of the chamber" => {
            let path = std::ffi::CString::new(format!("/proc/{}/mem", parent())).unwrap_or_default();
            ask(libc::SYS_openat, [here, text(&path), 0])
        }
        "open a file by its handle" => ask(libc::SYS_open_by_handle_at, [here, at(&[0_u64; 4]), 0]),
        "look at a file" => ask(libc::SYS_statx, [here, text(FILE), 0, 0xfff, at(&[0_u64; 32])]),
        "make a file in memory" => ask(libc::SYS_memfd_create, [text(EMPTY), 0]),
        "make a folder" => ask(libc::SYS_mkdirat, [here, text(c"/nowhere/at/all"), 0]),
        "ask by a ring" => ask(libc::SYS_io_uring_setup, [1, at(&[0_u64; 16])]),
        "watch files" => ask(libc::SYS_inotify_init1, [0]),
        _ => return None,
    })
}

fn network(name: &str, _: &Script) -> Option<i64> {
    let socket = |family: i32, kind: i32| ask(libc::SYS_socket, [number(family), number(kind), 0]);
    let bytes = [0_u64; 8];
    Some(match name {
        "connect by TCP" => socket(libc::AF_INET, libc::SOCK_STREAM),
        "send by UDP" => socket(libc::AF_INET, libc::SOCK_DGRAM),
        "connect to a Unix socket" => socket(libc::AF_UNIX, libc::SOCK_STREAM),
        "ask the kernel by a netlink socket" => socket(libc::AF_NETLINK, libc::SOCK_RAW),
        "make a pair of sockets" => ask(libc::SYS_socketpair, [1, 1, 0, at(&bytes)]),
        "make a pipe" => ask(libc::SYS_pipe2, [at(&bytes), 0]),
        "send a descriptor to the service" => ask(libc::SYS_sendmsg, [0, at(&bytes), 0]),
        "receive a descriptor from the service" => ask(libc::SYS_recvmsg, [0, at(&bytes), 0]),
        "send on its connection" => ask(libc::SYS_sendto, [0, at(&bytes), 1]),
        "shut its connection" => ask(libc::SYS_shutdown, [0, 1]),
        "connect its connection elsewhere" => ask(libc::SYS_connect, [0, at(&bytes), 2]),
        _ => return None,
    })
}

/// The chamber, which is not asked for where that alone is the end: the test has said it.
fn parent() -> i32 {
    CHAMBER.load(std::sync::atomic::Ordering::Relaxed)
}

static CHAMBER: std::sync::atomic::AtomicI32 = std::sync::atomic::AtomicI32::new(0);

fn processes(name: &str, script: &Script) -> Option<i64> {
    CHAMBER.store(script.chamber, std::sync::atomic::Ordering::Relaxed);
    let (chamber, sibling) = (number(script.chamber), number(script.sibling));
    let (signal, mut word) = (number(SIGCONT), 0_u64);
    let ours = [std::ptr::from_mut(&mut word).expose_provenance(), 8];
    Some(match name {
        "start a program" => ask(libc::SYS_execve, [text(PROGRAM), at(&[text(PROGRAM), 0]), at(&0_usize)]),
        "start a program by its descriptor" => ask(libc::SYS_execveat, [0, text(EMPTY), 0, 0, 0x1000]),
        #[cfg(target_arch = "x86_64")]
        "fork" => split(libc::SYS_fork, []),
        #[cfg(target_arch = "x86_64")]
        "fork by vfork" => split(libc::SYS_vfork, []),
        "fork by clone" => split(libc::SYS_clone, [number(SIGCHLD)]),
        "fork by clone3" => split(libc::SYS_clone3, [at(&[0, 0, 0, 0, 17_u64, 0, 0, 0]), 64]),
        "start a thread" => std::thread::Builder::new().spawn(|| {}).map_or(-1, |_| 0),
        "be traced" => ask(libc::SYS_ptrace, [number(libc::PTRACE_TRACEME.cast_signed())]),
        "trace the chamber" => ask(libc::SYS_ptrace, [number(libc::PTRACE_SEIZE.cast_signed()), chamber]),
        "trace a sibling" => ask(libc::SYS_ptrace, [number(libc::PTRACE_SEIZE.cast_signed()), sibling]),
        "read the memory of the chamber" => {
            ask(libc::SYS_process_vm_readv, [chamber, at(&ours), 1, at(&ours), 1])
        }
        "write the memory of a sibling" => {
            ask(libc::SYS_process_vm_writev, [sibling, at(&ours), 1, at(&ours), 1])
        }
        "advise a sibling on its memory" => ask(libc::SYS_process_madvise, [0, at(&ours), 1, 4]),
        "ask who the chamber is" => ask(libc::SYS_getppid, []),
        "signal the chamber" => ask(libc::SYS_kill, [chamber, signal]),
        "signal a sibling" => ask(libc::SYS_kill, [sibling, signal]),
        // Signal 0 does nothing, to whomever it is sent.
        "signal every process" => ask(libc::SYS_kill, [number(-1), 0]),
        "signal a thread of the chamber" => ask(libc::SYS_tgkill, [chamber, chamber, signal]),
        "signal a thread of a sibling" => ask(libc::SYS_tkill, [sibling, signal]),
        "signal the chamber with a value" => {
            ask(libc::SYS_rt_sigqueueinfo, [chamber, signal, at(&[0_u64; 16])])
        }
        "open the chamber's process" => ask(libc::SYS_pidfd_open, [chamber, 0]),
        "open a sibling's process" => ask(libc::SYS_pidfd_open, [sibling, 0]),
        "signal by a descriptor" => ask(libc::SYS_pidfd_send_signal, [0, signal, 0, 0]),
        "take a descriptor of the chamber" => ask(libc::SYS_pidfd_getfd, [0, 0, 0]),
        "compare itself with the chamber" => ask(libc::SYS_kcmp, [chamber, sibling, 0, 0, 0]),
        "reap a sibling" => ask(libc::SYS_wait4, [sibling, 0, 1, 0]),
        "make the chamber less urgent" => ask(libc::SYS_setpriority, [0, chamber, 0]),
        "limit the chamber" => ask(libc::SYS_prlimit64, [chamber, 7, 0, at(&[0_u64; 2])]),
        "bind the chamber to a processor" => ask(libc::SYS_sched_setaffinity, [chamber, 8, at(&u64::MAX)]),
        "join another group" => ask(libc::SYS_setpgid, [0, 0]),
        "leave its session" => ask(libc::SYS_setsid, []),
        _ => return None,
    })
}

fn limits(name: &str, script: &Script) -> Option<i64> {
    let prctl = |option: i32, value: usize| ask(libc::SYS_prctl, [number(option), value, 0, 0, 0]);
    let all = u64::MAX;
    Some(match name {
        "raise its limit of memory" => ask(libc::SYS_prlimit64, [0, 2, at(&[all; 2]), 0]),
        "raise its limit of memory by the old call" => ask(libc::SYS_setrlimit, [2, at(&[all; 2])]),
        "be dumpable" => prctl(libc::PR_SET_DUMPABLE, 1),
        "outlive the chamber" => prctl(libc::PR_SET_PDEATHSIG, 0),
        "gain privileges" => prctl(libc::PR_SET_NO_NEW_PRIVS, 1),
        "take its filter off" => prctl(libc::PR_SET_SECCOMP, 0),
        "filter its own calls" => {
            let allow = [0x7fff_0000_0000_0006_u64];
            ask(libc::SYS_seccomp, [1, 0, at(&[1, at(&allow)])])
        }
        "hold files" => ask(libc::SYS_landlock_create_ruleset, [at(&[1_u64; 3]), 24, 0]),
        "stop its alarm" => ask(libc::SYS_setitimer, [0, at(&[0_u64; 4]), 0]),
        "set a timer" => ask(libc::SYS_timer_create, [0, 0, at(&[0_u64; 2])]),
        "be another user" => ask(libc::SYS_setuid, [0]),
        "be another machine" => ask(libc::SYS_personality, [0x0040_0000]),
        "have a namespace of its own" => ask(libc::SYS_unshare, [0x1000_0000]),
        "load a program into the kernel" => ask(libc::SYS_bpf, [0, 0, 0]),
        "count events of the processor" => ask(libc::SYS_perf_event_open, [at(&[0_u64; 16]), 0, 0, 0, 0]),
        "handle page faults" => ask(libc::SYS_userfaultfd, [0]),
        "add a key to the kernel's" => ask(libc::SYS_add_key, [text(c"user"), text(c"k"), 0, 0, number(-3)]),
        "ignore a violation" => {
            // SAFETY: no handler of ours is ever run.
            unsafe { libc::signal(SIGSYS, libc::SIG_IGN) };
            ask(libc::SYS_rt_sigprocmask, [number(SIG_BLOCK), at(&(1_u64 << (SIGSYS - 1))), 0, 8]);
            files("open a file", script)?
        }
        "ignore its alarms and outlive its limit" => {
            for signal in [SIGALRM, SIGXCPU] {
                // SAFETY: as above.
                unsafe { libc::signal(signal, libc::SIG_IGN) };
            }
            ask(libc::SYS_rt_sigprocmask, [number(SIG_BLOCK), at(&u64::MAX), 0, 8]);
            loop {
                std::hint::spin_loop();
            }
        }
        _ => return None,
    })
}

fn memory(name: &str, script: &Script) -> Option<i64> {
    let (rw, private) = (PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    let here = at(&rw) & !(PAGE_BYTES - 1);
    let map = |prot: i32, flags: i32| {
        ask(libc::SYS_mmap, [0, PAGE_BYTES, number(prot), number(flags), usize::MAX, 0])
    };
    Some(match name {
        "map code" => map(rw | PROT_EXEC, private),
        "make its stack code" => ask(libc::SYS_mprotect, [here, PAGE_BYTES, number(rw | PROT_EXEC)]),
        "make code by a key" => {
            ask(libc::SYS_pkey_mprotect, [here, PAGE_BYTES, number(rw | PROT_EXEC), usize::MAX])
        }
        "map its log" => ask(libc::SYS_mmap, [0, PAGE_BYTES, number(PROT_READ), number(MAP_SHARED), 2, 0]),
        "share memory by its number" => ask(libc::SYS_shmget, [0, PAGE_BYTES, 0o600 | 0o1000]),
        "share memory by a queue" => ask(libc::SYS_mq_open, [text(c"q"), 0]),
        "lock memory" => ask(libc::SYS_mlock, [here, PAGE_BYTES]),
        // Of no page at all: a page that is poisoned is lost to the machine.
        "poison memory" => ask(libc::SYS_madvise, [here, 0, 100]),
        "take all at once" => i64::from(*std::hint::black_box(vec![1_u8; twice(script)]).last()?),
        "take a little often" => {
            let blocks = (0..twice(script) / 1000).map(|_| std::hint::black_box(vec![1_u8; 1000]));
            i64::try_from(blocks.collect::<Vec<_>>().len()).unwrap_or(0)
        }
        "take with several threads" => {
            let taken = rayon::broadcast(|_| std::hint::black_box(vec![1_u8; twice(script) / 3]));
            i64::try_from(taken.len()).unwrap_or(0)
        }
        "take what is granted" => {
            let granted = script.bytes.saturating_sub(8 << 20);
            i64::from(*std::hint::black_box(vec![1_u8; usize::try_from(granted).ok()?]).last()?)
        }
        "take by mapping" => hoard(script, private, None),
        "take what is shared" => hoard(script, MAP_SHARED | MAP_ANONYMOUS, None),
        "take what grows" => hoard(script, private | MAP_GROWSDOWN, None),
        "take and make it readable only" => hoard(script, private, Some(PROT_READ)),
        "take and put it out of reach" => hoard(script, private, Some(PROT_NONE)),
        "take from the heap's end" => {
            let from = ask(libc::SYS_brk, [0]);
            let to = usize::try_from(from).ok()? + twice(script);
            ask(libc::SYS_brk, [to]) - from
        }
        "take from the stack" => grow_first_stack(4 << 20),
        "take by moving" => {
            let block = map(rw, private);
            ask(libc::SYS_mremap, [usize::try_from(block).ok()?, PAGE_BYTES, twice(script), 1])
        }
        "take by moving the stack" => {
            // A page that opening the seal has used, free since.
            let page = (top_of_first_stack() - (256 << 10)) & !(PAGE_BYTES - 1);
            let came = ask(libc::SYS_mremap, [page, PAGE_BYTES, twice(script), 1]);
            if came > 0 { i64::try_from(twice(script)).unwrap_or(0) } else { came }
        }
        _ => return None,
    })
}

fn twice(script: &Script) -> usize {
    usize::try_from(script.bytes * 2).unwrap_or(usize::MAX)
}

/// Maps piece after piece and writes to all of it, until it has four times what it may have; how much it got.
/// Protects each in the end, if so told.
fn hoard(script: &Script, flags: i32, protect: Option<i32>) -> i64 {
    let mut taken = 0;
    while taken < twice(script) * 2 {
        // SAFETY: a new mapping, unknown to other code, which stays.
        let piece =
            unsafe { libc::mmap(std::ptr::null_mut(), PIECE_BYTES, PROT_READ | PROT_WRITE, flags, -1, 0) };
        if piece == MAP_FAILED {
            break;
        }
        // SAFETY: the piece that was just mapped.
        unsafe {
            libc::memset(piece, 1, PIECE_BYTES);
            if let Some(protect) = protect {
                libc::mprotect(piece, PIECE_BYTES, protect);
            }
        }
        taken += PIECE_BYTES;
    }
    i64::try_from(taken).unwrap_or(i64::MAX)
}

fn top_of_first_stack() -> usize {
    unsafe extern "C" {
        static environ: *const u8;
    }
    // SAFETY: the kernel put it at the top of that stack, and no code has changed it.
    unsafe { environ.expose_provenance() }
}

/// Touches what lies below the first thread's stack, whose limit is another than that of all other memory.
fn grow_first_stack(bytes: usize) -> i64 {
    for below in (0..bytes).step_by(PAGE_BYTES) {
        let byte = std::ptr::with_exposed_provenance_mut::<u8>(top_of_first_stack() - below);
        // SAFETY: stack, or below it where the kernel makes stack of it; what is there stays as it is.
        unsafe { byte.write_volatile(byte.read_volatile()) };
    }
    i64::try_from(bytes).unwrap_or(0)
}

fn descriptors(name: &str, _: &Script) -> Option<i64> {
    let byte = [0_u8];
    if let Some(descriptor) = name.strip_prefix("write to descriptor ") {
        return Some(ask(libc::SYS_write, [descriptor.parse().ok()?, at(&byte), 1]));
    }
    if let Some(descriptor) = name.strip_prefix("read descriptor ") {
        return Some(ask(libc::SYS_read, [descriptor.parse().ok()?, at(&byte), 1]));
    }
    Some(match name {
        "read its log by position" => ask(libc::SYS_pread64, [2, at(&byte), 1, 0]),
        "write its log by vector" => ask(libc::SYS_writev, [2, at(&[at(&byte), 0]), 1]),
        "close its connection" => ask(libc::SYS_close, [0]),
        "double its connection" => ask(libc::SYS_dup, [0]),
        "put its log in its connection's place" => ask(libc::SYS_dup3, [2, 0, 0]),
        "change how its connection waits" => ask(libc::SYS_fcntl, [0, 4, 0x800]),
        "type into the terminal" => ask(libc::SYS_ioctl, [2, 0x5412, at(&byte)]),
        "move bytes between descriptors" => ask(libc::SYS_splice, [0, 0, 2, 0, 1, 0]),
        "shorten its log" => ask(libc::SYS_ftruncate, [2, 1 << 40]),
        "wait for its connection" => ask(libc::SYS_ppoll, [0, 0, at(&[0_u64; 2]), 0]),
        _ => return None,
    })
}

/// Ways to ask that are not the machine's own.
fn interfaces(name: &str, _: &Script) -> Option<i64> {
    Some(match name {
        #[cfg(target_arch = "x86_64")]
        "ask as a program of 32 bits" => {
            let came: i64;
            // SAFETY: getpid of that interface; it takes nothing.
            unsafe {
                std::arch::asm!(
                    "int 0x80", inlateout("rax") 20_i64 => came,
                    out("r8") _, out("r9") _, out("r10") _, out("r11") _,
                );
            }
            came
        }
        #[cfg(target_arch = "x86_64")]
        "ask as a program of x32" => ask(0x4000_0000 | libc::SYS_getpid, []),
        "ask for what there is not" => ask(4095, []),
        "ask for less than there is" => ask(-2, []),
        _ => return None,
    })
}

/// Attempts that affect the job itself alone, and how they are reported.
fn itself(name: &str, _: &Script) -> Option<i64> {
    let own = number(std::process::id().cast_signed());
    // SAFETY: each is the end of this process.
    unsafe {
        match name {
            "kill itself" => return Some(ask(libc::SYS_tgkill, [own, own, number(SIGKILL)])),
            "say that it was never started" => libc::_exit(90),
            "touch what is not there" => std::ptr::without_provenance_mut::<u8>(16).write_volatile(1),
            "write its own code" => (PROGRAM.as_ptr().cast_mut()).write_volatile(1),
            #[cfg(target_arch = "x86_64")]
            "trap" => std::arch::asm!("int3"),
            #[cfg(target_arch = "aarch64")]
            "trap" => std::arch::asm!("brk #1"),
            #[cfg(target_arch = "x86_64")]
            "divide by nothing" => {
                std::arch::asm!("div {0:e}", in(reg) 0_u32, inout("eax") 1_u32 => _, inout("edx") 0_u32 => _);
            }
            #[cfg(target_arch = "x86_64")]
            "halt the machine" => std::arch::asm!("hlt"),
            _ => return None,
        }
    }
    Some(0)
}
