//! The closed sets that only metrics and those who count have. Others are the protocol's own: outcomes, codes,
//! lanes, ends of processes.

closed_set! {
    /// A step of a job's path whose duration is measured.
    Phase {
        /// From the broker's timestamp to the attempt's start.
        Queued = "queued",
        /// Opening the seal.
        Opened = "opened",
        /// Decoding and checking the witness.
        Checked = "checked",
        /// Proving.
        Proved = "proved",
        /// Verifying the own proof.
        Verified = "verified",
        /// Sealing the answer.
        Sealed = "sealed",
        /// From the answer in hand to the job acknowledged.
        Settled = "settled",
    }
}

closed_set! {
    /// Whose answer was there first.
    Winner {
        /// Another service's, or the sweeper's.
        Service = "service",
        /// The client has cancelled the job.
        Cancel = "cancel",
    }
}

closed_set! {
    /// What keeps a service from taking jobs.
    Missing {
        /// No chamber has built every proving key.
        Chamber = "chamber",
        /// The connection that answers are stored on is gone.
        Broker = "broker",
        /// Streams or consumers are not as they must be.
        Streams = "streams",
        /// The broker serves no pulls.
        Pulls = "pulls",
        /// Requests for the bundle are not heard.
        Requests = "requests",
        /// No tenant's answers would find room.
        Room = "room",
        /// It was told to stop.
        Stopping = "stopping",
    }
}

closed_set! {
    /// Something that happened at the broker.
    BrokerEvent {
        /// A connection is there.
        Connected = "connected",
        /// A connection is gone.
        Disconnected = "disconnected",
        /// A connection is given up for good, and another one is made.
        Closed = "closed",
        /// The server will stop and says so.
        LameDuck = "lame_duck",
        /// A request went unanswered.
        RequestFailed = "request_failed",
        /// A lease could not be prolonged.
        LeaseFailed = "lease_failed",
        /// A consumer was gone and was made again.
        ConsumerRestored = "consumer_restored",
        /// The server refused something, or we are too slow.
        Error = "error",
    }
}

closed_set! {
    /// What became of a line of the audit log.
    AuditLine {
        /// It is written.
        Written = "written",
        /// It could not be written, and is tried again.
        Retried = "retried",
        /// There was no room to keep it until it could be.
        Lost = "lost",
    }
}
