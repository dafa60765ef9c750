//! Tests of a service as its clients and its operator see it, with a real broker and real processes.

mod audit;
mod cancel;
mod cli;
mod cli_operator;
mod connect;
mod image;
mod job;
mod k8s;
mod metrics;
mod operator;
mod prometheus;
mod queue;
mod starts;
mod traces;
