//! Tenants: that the broker keeps them apart, that each has what it may and no more, and that slots are shared
//! by weight. With a real nats-server under the accounts that `sealprove tenants accounts` writes.

mod accounts;
mod attacks;
mod deployment;
mod fairness;
mod limits;
mod outcome;
mod separation;
