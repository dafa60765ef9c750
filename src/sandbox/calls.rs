//! What a process may ask of the kernel: seccomp filters (seccomp(2)), for all threads of the process.
//!
//! Filters stack: a call must pass every one that was ever installed. So the chamber's list holds what its
//! jobs need on their way to a list of their own, and each list of theirs is shorter.

use std::collections::BTreeMap;

use seccompiler::{
    SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    apply_filter_all_threads,
};

use super::LockError;

/// Whose list it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// May do all but start programs, look into processes, and reach deep into the kernel.
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
    let end = SeccompAction::KillProcess;
    let (calls, otherwise, listed) = match role {
        Role::Service => (forbidden_to_service(), SeccompAction::Allow, end),
        Role::Chamber => (chamber()?, end, SeccompAction::Allow),
        Role::SealedJob => (sealed_job()?, end, SeccompAction::Allow),
        Role::OpenJob => (job()?, end, SeccompAction::Allow),
    };
    let filter = SeccompFilter::new(calls, otherwise, listed, std::env::consts::ARCH.try_into()?)?;
    let program: seccompiler::BpfProgram = filter.try_into()?;
    Ok(apply_filter_all_threads(&program)?)
}

/// What a service has no use for, and somebody in it might: to run something else, to look into the
/// chamber, and the parts of the kernel that are famous for their holes.
fn forbidden_to_service() -> Calls {
    always(&[
        libc::SYS_execve,
        libc::SYS_execveat,
        libc::SYS_ptrace,
        libc::SYS_process_vm_readv,
        libc::SYS_process_vm_writev,
        libc::SYS_process_madvise,
        libc::SYS_pidfd_getfd,
        libc::SYS_kcmp,
        libc::SYS_memfd_create,
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
        libc::SYS_kexec_load,
        libc::SYS_mount,
        libc::SYS_umount2,
        libc::SYS_pivot_root,
        libc::SYS_chroot,
        libc::SYS_setns,
        libc::SYS_unshare,
    ])
}

/// Memory, locks, time, randomness and the end: what all of them need, whoever wrote the prover.
fn everybody() -> Result<Calls, seccompiler::BackendError> {
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
fn chamber() -> Result<Calls, seccompiler::BackendError> {
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
fn sealed_job() -> Result<Calls, seccompiler::BackendError> {
    let mut calls = job()?;
    let no_new_privileges = u64::from(libc::PR_SET_NO_NEW_PRIVS.cast_unsigned());
    calls.insert(libc::SYS_prctl, vec![rule(0, SeccompCmpOp::Eq, no_new_privileges)?]);
    calls.extend(always(&[libc::SYS_seccomp]));
    Ok(calls)
}

/// A job whose seal is open: reads its connection, writes there and to the standard error, signals itself.
fn job() -> Result<Calls, seccompiler::BackendError> {
    let mut calls = everybody()?;
    let descriptor = |number: i32| rule(0, SeccompCmpOp::Eq, u64::from(number.cast_unsigned()));
    let (connection, error) = (libc::STDIN_FILENO, libc::STDERR_FILENO);
    calls.insert(libc::SYS_read, vec![descriptor(connection)?]);
    calls.insert(libc::SYS_write, vec![descriptor(connection)?, descriptor(error)?]);
    // abort() sends itself its signal.
    let own = u64::from(std::process::id());
    calls.insert(libc::SYS_tgkill, vec![rule(0, SeccompCmpOp::Eq, own)?]);
    Ok(calls)
}

fn always(calls: &[i64]) -> Calls {
    calls.iter().map(|call| (*call, Vec::new())).collect()
}

/// A rule on one argument, counted from 0.
fn rule(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompRule, seccompiler::BackendError> {
    let condition = SeccompCondition::new(argument, SeccompCmpArgLen::Qword, operator, value)?;
    SeccompRule::new(vec![condition])
}
