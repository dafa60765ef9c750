//! What a process may ask of the kernel: seccomp filters (seccomp(2)), for all threads of the process.
//!
//! Filters stack: a call must pass every one that was ever installed. So the chamber's list holds what its
//! jobs need on their way to a list of their own, and each list of theirs is shorter.

use std::collections::BTreeMap;

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter_all_threads, sock_filter,
};

use super::LockError;
use crate::frame::Exit;

/// Whose list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// May do all but start processes, reach others, and reach deep into the kernel.
    Service,
    Chamber,
    SealedJob,
    OpenJob,
}

/// Calls with the rules that they must match, any one of them; no rules match always.
type Calls = BTreeMap<i64, Vec<SeccompRule>>;

/// Installs a role's list in all threads of this process.
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
    let allowed = |calls| program(calls, SeccompAction::KillProcess, SeccompAction::Allow);
    Ok(match role {
        Role::Service => vec![
            no_x32(),
            // It has its flags where a filter cannot look. glibc starts threads by clone where it is not.
            without(libc::SYS_clone3)?,
            program(forbidden_to_service()?, SeccompAction::Allow, SeccompAction::KillProcess)?,
        ],
        Role::Chamber => vec![allowed(chamber()?)?],
        // It makes blocks larger, and a stack where it lies in one that no ceiling counts. glibc's realloc
        // copies where it is not.
        Role::SealedJob => vec![without(libc::SYS_mremap)?, allowed(sealed_job()?)?],
        Role::OpenJob => vec![allowed(job()?)?],
    })
}

/// A kernel that does not have a call, for those who can do without.
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

/// No call by the numbers of x32, another interface to the same calls (seccomp(2), "Notes"): a list of what is
/// forbidden does not have them. Programs of 32 bits are no concern, since every filter begins with the
/// architecture.
fn no_x32() -> BpfProgram {
    const X32: u32 = 0x4000_0000;
    let instruction = |code: u32, jf: u8, k: u32| sock_filter { code: code as u16, jt: 0, jf, k };
    vec![
        // The number is the first word of seccomp_data.
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0),
        instruction(libc::BPF_JMP | libc::BPF_JSET | libc::BPF_K, 1, X32),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_KILL_PROCESS),
        instruction(libc::BPF_RET | libc::BPF_K, 0, libc::SECCOMP_RET_ALLOW),
    ]
}

/// What a service has no use for, and somebody in it might: to run something else, to reach the chamber, and
/// the parts of the kernel that are famous for their holes.
fn forbidden_to_service() -> Result<Calls, BackendError> {
    let mut calls = always(PROGRAMS_AND_PROCESSES);
    calls.extend(always(MODES_AND_OWNERS));
    calls.extend(always(DEEP_IN_THE_KERNEL));
    // Threads, and no processes: a child could outlive the service.
    let thread = u64::from(libc::CLONE_THREAD.cast_unsigned());
    calls.insert(libc::SYS_clone, vec![rule(0, SeccompCmpOp::MaskedEq(thread), 0)?]);
    // abort() signals its own process, and glibc asks for its own limits.
    calls.insert(libc::SYS_tgkill, vec![word(0, SeccompCmpOp::Ne, std::process::id())?]);
    calls.insert(libc::SYS_prlimit64, vec![word(0, SeccompCmpOp::Ne, 0)?]);
    Ok(calls)
}

/// Starting, reading, signalling and slowing down.
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

/// What Landlock leaves to whoever owns a file, as the service may own the keys.
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

// Newer than the tables of libc; numbers from 424 on are the same on every architecture.
const FCHMODAT2: i64 = 452;
const SETXATTRAT: i64 = 463;
const REMOVEXATTRAT: i64 = 466;
const FILE_SETATTR: i64 = 469;

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

/// Memory, locks, time, randomness and the end: what all of them need, whoever wrote the prover.
fn everybody() -> Result<Calls, BackendError> {
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
        // What a sleep is in musl, and in glibc before 2.31.
        libc::SYS_nanosleep,
        libc::SYS_getpid,
        libc::SYS_gettid,
        // The handler of a stack's guard page, and abort.
        libc::SYS_rt_sigreturn,
        libc::SYS_rt_sigprocmask,
        libc::SYS_rt_sigaction,
        libc::SYS_sigaltstack,
        // The kernel's own way back into a call that SIGSTOP and SIGCONT have interrupted.
        libc::SYS_restart_syscall,
        // malloc counts the processors when a thread first needs an arena of its own.
        libc::SYS_sched_getaffinity,
    ]);
    // Memory is never code.
    let executable = u64::from(libc::PROT_EXEC.cast_unsigned());
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        calls.insert(call, vec![rule(2, SeccompCmpOp::MaskedEq(executable), 0)?]);
    }
    Ok(calls)
}

/// Accept, read an order, fork, watch, kill, reap; and what a job does on its way to a list of its own.
fn chamber() -> Result<Calls, BackendError> {
    let mut calls = everybody()?;
    calls.extend(always(&[
        libc::SYS_accept4,
        libc::SYS_ppoll,
        #[cfg(target_arch = "x86_64")]
        libc::SYS_poll,
        libc::SYS_recvfrom,
        libc::SYS_write,
        libc::SYS_close,
        libc::SYS_fcntl,
        // To count the threads before a fork.
        libc::SYS_pread64,
        libc::SYS_clone,
        libc::SYS_pidfd_open,
        libc::SYS_pidfd_send_signal,
        libc::SYS_wait4,
        libc::SYS_waitid,
        libc::SYS_tgkill,
    ]));
    calls.extend(always(&[
        // A job closes what is not its own, sets its limits, and starts its threads.
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

/// A job whose seal is closed: its connection and its memory, and one more filter to come.
fn sealed_job() -> Result<Calls, BackendError> {
    let mut calls = job()?;
    let no_new_privileges = u64::from(libc::PR_SET_NO_NEW_PRIVS.cast_unsigned());
    calls.insert(libc::SYS_prctl, vec![rule(0, SeccompCmpOp::Eq, no_new_privileges)?]);
    // It may still say that it could not be set up.
    calls.extend(always(&[libc::SYS_seccomp, libc::SYS_exit_group]));
    Ok(calls)
}

/// A job whose seal is open: reads its connection, writes there and to the standard error, aborts.
fn job() -> Result<Calls, BackendError> {
    let mut calls = everybody()?;
    let descriptor = |number: i32| rule(0, SeccompCmpOp::Eq, u64::from(number.cast_unsigned()));
    let (connection, error) = (libc::STDIN_FILENO, libc::STDERR_FILENO);
    calls.insert(libc::SYS_read, vec![descriptor(connection)?]);
    calls.insert(libc::SYS_write, vec![descriptor(connection)?, descriptor(error)?]);
    // abort() sends itself its signal. By any other it could say that somebody else had killed it, and be
    // tried again and again.
    let (own, abort) = (std::process::id(), libc::SIGABRT.cast_unsigned());
    let aborts = [condition(0, SeccompCmpOp::Eq, own)?, condition(2, SeccompCmpOp::Eq, abort)?];
    calls.insert(libc::SYS_tgkill, vec![SeccompRule::new(aborts.into())?]);
    // So it could by the status of one that never began. A status has eight bits; no more may be given.
    let not_started = Exit::NotStarted as u32;
    for call in [libc::SYS_exit, libc::SYS_exit_group] {
        let ends = [condition(0, SeccompCmpOp::Ne, not_started)?, condition(0, SeccompCmpOp::Le, 255)?];
        calls.insert(call, vec![SeccompRule::new(ends.into())?]);
    }
    calls.extend(counted_memory()?);
    Ok(calls)
}

/// Memory that the ceiling counts, and none besides: that is private memory which can be written (getrlimit(2),
/// `RLIMIT_DATA`). What is shared is not counted, nor what grows like a stack, nor what was filled and then
/// made read-only, nor what a stack becomes that is moved, for which see [`programs`]. What is left is what
/// malloc does: maps blocks, reserves heaps, opens them piece by piece, and gives pages back.
fn counted_memory() -> Result<Calls, BackendError> {
    let bits = |flags: i32| u64::from(flags.cast_unsigned());
    let open = bits(libc::PROT_READ | libc::PROT_WRITE);
    // Not one kind alone: for the state of its generator, glibc has the kernel say which (getrandom(2), vDSO).
    let kinds = bits(libc::MAP_SHARED | libc::MAP_GROWSDOWN | libc::MAP_ANONYMOUS);
    let map = |protection| {
        let own = SeccompCmpOp::MaskedEq(kinds);
        let own = SeccompCondition::new(3, SeccompCmpArgLen::Qword, own, bits(libc::MAP_ANONYMOUS))?;
        let as_wanted = SeccompCondition::new(2, SeccompCmpArgLen::Qword, SeccompCmpOp::Eq, protection)?;
        SeccompRule::new(vec![as_wanted, own])
    };
    let advice = |advice: i32| word(2, SeccompCmpOp::Eq, advice.cast_unsigned());
    let advices = [libc::MADV_DONTNEED, libc::MADV_FREE, libc::MADV_HUGEPAGE, libc::MADV_NOHUGEPAGE];
    Ok(Calls::from([
        (libc::SYS_mmap, vec![map(open)?, map(bits(libc::PROT_NONE))?]),
        (libc::SYS_mprotect, vec![rule(2, SeccompCmpOp::Eq, open)?]),
        (libc::SYS_madvise, advices.map(advice).into_iter().collect::<Result<_, _>>()?),
    ]))
}

fn always(calls: &[i64]) -> Calls {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

/// A rule on one argument, counted from 0.
fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value)?;
    SeccompRule::new(vec![condition])
}

/// The same on an argument of which the kernel takes the low 32 bits alone.
fn word(argument: u8, operator: SeccompCmpOp, value: u32) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition(argument, operator, value)?])
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u32) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, u64::from(value))
}
