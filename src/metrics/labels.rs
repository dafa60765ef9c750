//! Labels: the closed sets that only metrics have. Other labels are sets of the protocol and of the frames.

use crate::protocol::BadName;

closed_set! {
    /// A measured step of a job's path.
    pub Phase, "phase" {
        /// From the broker's timestamp to the attempt's start.
        Queued = "queued",
        /// Opening the seal.
        Opened = "opened",
        /// Decoding and checking the witness.
        Checked = "checked",
        /// Proving.
        Proved = "proved",
        /// Verifying the proof that was made.
        Verified = "verified",
        /// Sealing the answer.
        Sealed = "sealed",
        /// From the finished answer to the acknowledged job.
        Settled = "settled",
    }
}

closed_set! {
    /// The winner of a race for a job's answer, other than this service.
    pub Winner, "winner" {
        /// Another service, or its sweeper.
        Service = "service",
        /// The client, which has cancelled the job.
        Cancel = "cancel",
    }
}

closed_set! {
    /// A reason for which a service takes no jobs.
    pub Missing, "reason" {
        /// No chamber has built every proving key.
        Chamber = "chamber",
        /// The connection for storing answers is down.
        Broker = "broker",
        /// Streams or consumers differ from the configuration.
        Streams = "streams",
        /// The broker answers no pulls.
        Pulls = "pulls",
        /// Requests for the bundle do not arrive.
        Requests = "requests",
        /// Every tenant's answer stream is full.
        Room = "room",
        /// The service is stopping.
        Stopping = "stopping",
    }
}

closed_set! {
    /// An event on a connection to the broker.
    pub BrokerEvent, "event" {
        /// A connection is up.
        Connected = "connected",
        /// A connection is down.
        Disconnected = "disconnected",
        /// A connection is closed for good, and another one is made.
        Closed = "closed",
        /// The server announces that it will stop.
        LameDuck = "lame_duck",
        /// A request was not answered.
        RequestFailed = "request_failed",
        /// A lease could not be extended.
        LeaseFailed = "lease_failed",
        /// A missing consumer was created again.
        ConsumerRestored = "consumer_restored",
        /// The server reported an error, or this client reads too slowly.
        Error = "error",
    }
}

closed_set! {
    /// The fate of a line of the audit log.
    pub AuditLine, "result" {
        /// The line is written.
        Written = "written",
        /// The line could not be written, and is tried again.
        Retried = "retried",
        /// The queue was full, and the line is lost.
        Lost = "lost",
    }
}
