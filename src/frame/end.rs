//! The end of a job process: its exit status, and how the service names it.

use crate::protocol::BadName;

closed_set! {
    /// The way in which a job process ended.
    pub End, "end of a process" {
        /// It reported that it had written its answer.
        Answered = "answered",
        /// It reached its memory ceiling.
        OutOfMemory = "out_of_memory",
        /// The chamber killed it at its limit, or the kernel at its processor limit.
        TimedOut = "timed_out",
        /// It panicked.
        Panicked = "panicked",
        /// It aborted, trapped, divided by zero, or overflowed its stack.
        Aborted = "aborted",
        /// It read something that is not a job.
        BadFrame = "bad_frame",
        /// It could not be set up.
        NotStarted = "not_started",
        /// It made a forbidden system call, or touched memory that is not its own.
        Violation = "violation",
        /// The chamber killed it because the service dropped the job.
        Dropped = "dropped",
        /// Something other than the chamber killed it.
        Killed = "killed",
        /// It exited with a status that has no meaning here.
        Unknown = "unknown",
    }
}

/// The exit status of a job process, which never returns from `main`.
///
/// The numbers lie outside those of sysexits.h, of a panic in Rust (101) and of shells (126 and above), so a status is
/// what the process itself reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i32)]
pub enum JobExit {
    /// The answer was written whole.
    Answered = 0,
    /// An allocation was refused.
    OutOfMemory = 86,
    /// It panicked.
    Panicked = 88,
    /// It read something that is not a job.
    BadFrame = 89,
    /// Limits, threads or locks could not be set up.
    NotStarted = 90,
}

impl JobExit {
    const ALL: [JobExit; 5] =
        [JobExit::Answered, JobExit::OutOfMemory, JobExit::Panicked, JobExit::BadFrame, JobExit::NotStarted];

    fn end(self) -> End {
        match self {
            JobExit::Answered => End::Answered,
            JobExit::OutOfMemory => End::OutOfMemory,
            JobExit::Panicked => End::Panicked,
            JobExit::BadFrame => End::BadFrame,
            JobExit::NotStarted => End::NotStarted,
        }
    }
}

impl End {
    /// Returns the end that an exit status reports.
    pub fn from_exit_status(status: i32) -> End {
        JobExit::ALL.into_iter().find(|exit| *exit as i32 == status).map_or(End::Unknown, JobExit::end)
    }
}
