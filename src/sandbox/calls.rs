//! System calls: seccomp filters (seccomp(2)) for all threads of a process.
//!
//! Filters stack: a call must pass every one that was ever installed. So the chamber's list also holds what its jobs need
//! on their way to their own lists, and each of those is shorter.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads, sock_filter,
};

use super::error::LockError;
use crate::frame::JobExit;

/// The role of a process, which decides its filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Has a list of what is forbidden: the libraries of a network service use too many calls for a list of what is
    /// allowed.
    Service,
    Chamber,
    SealedJob,
    OpenJob,
}

/// Calls with their rules. A call matches when one of its rules does, or when it has none.
type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// Installs a role's filters in all threads of this process.
pub(super) fn filter(role: Role) -> Result<(), LockError> {
    install(role).map_err(|error| LockError::Calls(error.to_string()))
}

fn install(role: Role) -> Result<(), Box<dyn std::error::Error>> {
    for program in programs(role)? {
        apply_filter_all_threads(&program)?;
    }
    Ok(())
}

fn programs(role: Role) -> Result<Vec<BpfProgram>, Box<dyn std::error::Error>> {
    Ok(match role {
        Role::Service => vec![
            no_x32(),
            // clone3 has its flags in memory, which a filter cannot read. Without it glibc starts threads by clone.
            without(libc::SYS_clone3)?,
            program(forbidden_to_service()?, SeccompAction::Allow, SeccompAction::KillProcess)?,
        ],
        Role::Chamber => vec![allow_list(chamber()?)?],
        // mremap can grow a block, and can move a stack to where no ceiling counts it. Without it glibc's realloc
        // copies.
        Role::SealedJob => vec![without(libc::SYS_mremap)?, allow_list(sealed_job()?)?],
        Role::OpenJob => vec![allow_list(open_job()?)?],
    })
}

/// Kills the process at any call outside the list.
fn allow_list(calls: Calls) -> Result<BpfProgram, Box<dyn std::error::Error>> {
    program(calls, SeccompAction::KillProcess, SeccompAction::Allow)
}

/// Pretends that the kernel does not have a call, for libraries that have another way.
fn without(call: i64) -> Result<BpfProgram, Box<dyn std::error::Error>> {
    let is_unknown = SeccompAction::Errno(libc::ENOSYS.cast_unsigned());
    program(always(&[call]), SeccompAction::Allow, is_unknown)
}

fn program(
    calls: Calls,
    otherwise: SeccompAction,
    listed: SeccompAction,
) -> Result<BpfProgram, Box<dyn std::error::Error>> {
    let filter = SeccompFilter::new(calls, otherwise, listed, std::env::consts::ARCH.try_into()?)?;
    Ok(filter.try_into()?)
}

/// Forbids every call by a number of x32, another interface to the same calls (seccomp(2), "Notes"): a list of what is
/// forbidden does not have those numbers. Calls of 32-bit programs need no such filter, since every filter checks the
/// architecture first.
fn no_x32() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    vec![
        // Loads the call's number, the first word of seccomp_data.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        // Skips the kill where the bit of x32 is not set.
        instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 1, X32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_KILL_PROCESS),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

fn instruction(code: u32, jump_if_false: u8, operand: u32) -> sock_filter {
    sock_filter { code: code as u16, jt: 0, jf: jump_if_false, k: operand }
}

/// Returns what a service never needs and an attacker in it would: running programs, reaching the chamber, and the parts
/// of the kernel with a record of holes.
fn forbidden_to_service() -> Result<Calls, BackendError> {
    let mut calls = always(PROGRAMS_AND_PROCESSES);
    calls.extend(always(MODES_AND_OWNERS));
    calls.extend(always(DEEP_IN_THE_KERNEL));
    // Threads, and no processes: a child could outlive the service.
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    calls.insert(libc::SYS_clone, vec![rule(0, SeccompCmpOp::MaskedEq(thread), 0)?]);
    // Only on the service itself: abort() signals its own process, and glibc reads its own limits.
    calls.insert(libc::SYS_tgkill, vec![word(0, SeccompCmpOp::Ne, std::process::id())?]);
    calls.insert(libc::SYS_prlimit64, vec![word(0, SeccompCmpOp::Ne, 0)?]);
    Ok(calls)
}

/// Calls that start, read, signal or slow down a process.
const PROGRAMS_AND_PROCESSES: &[i64] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_memfd_create,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_fork,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_vfork,
    libc::SYS_setns,
    libc::SYS_unshare,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_process_mrelease,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_send_signal,
    libc::SYS_setpriority,
    libc::SYS_ioprio_set,
    libc::SYS_sched_setaffinity,
    libc::SYS_sched_setattr,
    libc::SYS_sched_setparam,
    libc::SYS_sched_setscheduler,
    libc::SYS_migrate_pages,
    libc::SYS_move_pages,
];

/// Calls that change modes, owners and attributes. Landlock does not restrict them, and the service's user may own the
/// keys.
const MODES_AND_OWNERS: &[i64] = &[
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chmod,
    libc::SYS_fchmod,
    libc::SYS_fchmodat,
    FCHMODAT2,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_chown,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_lchown,
    libc::SYS_fchown,
    libc::SYS_fchownat,
    libc::SYS_setxattr,
    libc::SYS_lsetxattr,
    libc::SYS_fsetxattr,
    SETXATTRAT,
    libc::SYS_removexattr,
    libc::SYS_lremovexattr,
    libc::SYS_fremovexattr,
    REMOVEXATTRAT,
    FILE_SETATTR,
    libc::SYS_open_by_handle_at,
];

// These are newer than the tables of libc. Numbers from 424 on are the same on every architecture.
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const FILE_SETATTR: i64 = 469;

/// Calls that administer the machine, or that attacks on kernels use.
const DEEP_IN_THE_KERNEL: &[i64] = &[
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_keyctl,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fanotify_init,
    libc::SYS_quotactl,
    libc::SYS_acct,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_reboot,
    libc::SYS_syslog,
    libc::SYS_personality,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_iopl,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_ioperm,
];

/// Returns what chamber and jobs need for any prover: memory, locks, time, randomness and an end.
fn common() -> Result<Calls, BackendError> {
    let mut calls = always(&[
        libc::SYS_munmap,
        libc::SYS_mremap,
        libc::SYS_madvise,
        libc::SYS_brk,
        libc::SYS_futex,
        libc::SYS_sched_yield,
        libc::SYS_getrandom,
        libc::SYS_exit,
        libc::SYS_exit_group,
        libc::SYS_clock_gettime,
        libc::SYS_clock_nanosleep,
        // A sleep in musl, and in glibc before 2.31.
        libc::SYS_nanosleep,
        libc::SYS_getpid,
        libc::SYS_gettid,
        // For the handler of a stack's guard page, and for abort.
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigaction,
        libc::SYS_sigaltstack,
        // The kernel resumes a call by it after SIGSTOP and SIGCONT.
        libc::SYS_restart_syscall,
        // malloc counts the processors when a thread first needs its own arena.
        libc::SYS_sched_getaffinity,
    ]);
    // Memory is never executable: a bug in a prover must not become code.
    let executable = u64::from(libc::PROT_EXEC.cast_unsigned());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        calls.insert(call, vec![rule(2, SeccompCmpOp::MaskedEq(executable), 0)?]);
    }
    Ok(calls)
}

/// Returns the chamber's calls: accept, read an order, fork, watch, kill, reap; and those that a job makes on its way to
/// its own list.
fn chamber() -> Result<Calls, BackendError> {
    let mut calls = common()?;
    calls.extend(always(&[
        libc::SYS_accept4,
        libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        libc::SYS_recvfrom,
        libc::SYS_write,
        libc::SYS_close,
        libc::SYS_fcntl,
        // Counts the threads before a fork.
        libc::SYS_pread64,
        libc::SYS_clone,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_wait4,
        libc::SYS_waitid,
        libc::SYS_tgkill,
    ]));
    calls.extend(always(&[
        // A job closes what is not its own, sets its limits, starts its threads, and locks itself.
        #[cfg(target_arch = "x86_64")]
        libc::SYS_dup2,
        libc::SYS_dup3,
        libc::SYS_close_range,
        libc::SYS_prctl,
        libc::SYS_getppid,
        libc::SYS_prlimit64,
        libc::SYS_setpriority,
        libc::SYS_getpriority,
        libc::SYS_setitimer,
        libc::SYS_clone3,
        libc::SYS_set_robust_list,
        libc::SYS_rseq,
        libc::SYS_landlock_create_ruleset,
        libc::SYS_landlock_restrict_self,
        libc::SYS_seccomp,
        libc::SYS_read,
    ]));
    Ok(calls)
}

/// Returns the calls of a job whose seal is closed: those of an open one, and those that install one more filter.
fn sealed_job() -> Result<Calls, BackendError> {
    let mut calls = open_job()?;
    let no_new_privileges = u64::from(libc::PR_SET_NO_NEW_PRIVS.cast_unsigned());
    calls.insert(libc::SYS_prctl, vec![rule(0, SeccompCmpOp::Eq, no_new_privileges)?]);
    // It may still exit as not started, should the next filter fail.
    calls.extend(always(&[libc::SYS_seccomp, libc::SYS_exit_group]));
    Ok(calls)
}

/// Returns the calls of a job whose seal is open: it reads its connection, writes there and to standard error, and
/// aborts.
fn open_job() -> Result<Calls, BackendError> {
    let mut calls = common()?;
    let (connection, error) = (libc::STDIN_FILENO, libc::STDERR_FILENO);
    calls.insert(libc::SYS_read, vec![descriptor(connection)?]);
    calls.insert(libc::SYS_write, vec![descriptor(connection)?, descriptor(error)?]);
    // abort() signals its own process. With any other signal a witness could make its job look killed from outside,
    // and have it tried again and again.
    let (own, abort) = (std::process::id(), libc::SIGABRT.cast_unsigned());
    let aborts = [condition(0, SeccompCmpOp::Eq, own)?, condition(2, SeccompCmpOp::Eq, abort)?];
    calls.insert(libc::SYS_tgkill, vec![SeccompRule::new(aborts.into())?]);
    // The status of a job that was never set up would do the same. A status has eight bits, so a larger number must not
    // pass either.
    let not_started = JobExit::NotStarted as u32;
    for call in [libc::SYS_exit, libc::SYS_exit_group] {
        let ends = [condition(0, SeccompCmpOp::Ne, not_started)?, condition(0, SeccompCmpOp::Le, 255)?];
        calls.insert(call, vec![SeccompRule::new(ends.into())?]);
    }
    calls.extend(counted_memory()?);
    Ok(calls)
}

/// Returns the calls that map memory, restricted to memory that the ceiling counts: private and writable (getrlimit(2),
/// `RLIMIT_DATA`).
///
/// The kernel does not count shared memory, memory that grows like a stack, memory that was filled and then made
/// read-only, or a stack that was moved (see [`programs`]). The rest is enough for malloc: it maps blocks, reserves
/// heaps, opens them piece by piece, and gives pages back.
fn counted_memory() -> Result<Calls, BackendError> {
    let writable = flags(libc::PROT_READ | libc::PROT_WRITE);
    let advices = [libc::MADV_DONTNEED, libc::MADV_FREE, libc::MADV_HUGEPAGE, libc::MADV_NOHUGEPAGE];
    Ok(Calls::from([
        (libc::SYS_mmap, vec![private_mapping(writable)?, private_mapping(flags(libc::PROT_NONE))?]),
        (libc::SYS_mprotect, vec![rule(2, SeccompCmpOp::Eq, writable)?]),
        (
            libc::SYS_madvise,
            advices
                .iter()
                .map(|advice| word(2, SeccompCmpOp::Eq, advice.cast_unsigned()))
                .collect::<Result<_, _>>()?,
        ),
    ]))
}

/// Matches a mapping with this protection that is anonymous, and neither shared nor growing. Other flags are free: glibc
/// takes those for its generator's state from the kernel (getrandom(2), vDSO).
fn private_mapping(protection: u64) -> Result<SeccompRule, BackendError> {
    let kinds = flags(libc::MAP_SHARED | libc::MAP_GROWSDOWN | libc::MAP_ANONYMOUS);
    let is_private = SeccompCmpOp::MaskedEq(kinds);
    SeccompRule::new(vec![
        SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, protection)?,
        SeccompCondition::new(3, SeccompCmpArgLen::Qword, is_private, flags(libc::MAP_ANONYMOUS))?,
    ])
}

fn flags(flags: i32) -> u64 {
    u64::from(flags.cast_unsigned())
}

/// Matches a call on this file descriptor.
fn descriptor(number: i32) -> Result<SeccompRule, BackendError> {
    rule(0, SeccompCmpOp::Eq, u64::from(number.cast_unsigned()))
}

fn always(calls: &[i64]) -> Calls {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

/// Matches one argument, counted from 0.
fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value)?;
    SeccompRule::new(vec![condition])
}

/// Matches an argument of which the kernel reads the low 32 bits alone. The high ones must not make a difference.
fn word(argument: u8, operator: SeccompCmpOp, value: u32) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition(argument, operator, value)?])
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, u64::from(value))
}
