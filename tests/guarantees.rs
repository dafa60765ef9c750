//! Guarantees that hold under attack and after any crash: hostile input, hostile circuits, tenants against tenants,
//! crashes, rotations and upgrades under load, chaos, and a search of all memory for what must not be there.

mod bad_input;
mod brokers;
mod chaos;
mod hostile;
mod leaks;
mod rolling;
mod rotation;
mod survival;
mod sweep;
mod tenants;
