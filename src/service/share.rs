//! Whose job is next: the slots of a service, shared among its tenants by weight.
//!
//! This is start-time fair queueing on the time that slots are taken, divided by the tenant's weight. A tenant
//! whose time is behind is asked first. One that has had no jobs begins at the present, so that no idle time is
//! saved up; and one that had the service to itself owes nobody for it.
//!
//! Nothing that a client sends has a say: no lane, no size, no deadline. What a job costs is the time that it
//! took. This module does no I/O and reads no clock.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::config::Tenants;
use crate::job::{Lane, Tenant};

/// How much of what a tenant's jobs usually take the last one decides.
const LAST: f64 = 0.25;

/// The tenants' accounts of slot time, in seconds by weight.
pub(super) struct Share {
    accounts: BTreeMap<Tenant, Account>,
    standard_turn: u64,
    /// The present: where the tenant stood that was served last, before it was.
    present: f64,
    /// How many jobs were taken.
    taken: u64,
}

/// One tenant's.
struct Account {
    weight: f64,
    in_flight_max: usize,
    /// What its jobs that are done have taken, and what it did not save up.
    used: f64,
    /// What a job of its usually takes, in seconds; nothing is known at first.
    usually: f64,
    running: Vec<Running>,
    /// How many of its jobs were taken.
    taken: u64,
    /// When it was last served, in jobs of all tenants.
    last: u64,
}

struct Running {
    turn: Turn,
    since: Instant,
}

/// A job that has a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Turn(u64);

impl Share {
    pub(super) fn among(tenants: &Tenants, standard_turn: u32) -> Self {
        let account = |(tenant, limits): (&Tenant, &crate::config::TenantLimits)| {
            let account = Account {
                weight: limits.weight.get().into(),
                in_flight_max: limits.in_flight_max.map_or(usize::MAX, |most| most.get() as usize),
                used: 0.0,
                usually: 0.0,
                running: Vec::new(),
                taken: 0,
                last: 0,
            };
            (tenant.clone(), account)
        };
        let accounts = tenants.iter().map(account).collect();
        Share { accounts, standard_turn: standard_turn.into(), present: 0.0, taken: 0 }
    }

    /// The tenants that may be served, whose turn it is first. One that may not be saves up nothing meanwhile.
    pub(super) fn order(&mut self, now: Instant, may_be_served: impl Fn(&Tenant) -> bool) -> Vec<Tenant> {
        let mut order = Vec::new();
        for (tenant, account) in &mut self.accounts {
            if account.has_place() && may_be_served(tenant) {
                order.push((account.place(now), tenant));
            } else {
                account.catch_up(self.present, now);
            }
        }
        order.sort_by(|(one, _), (two, _)| one.0.total_cmp(&two.0).then(one.1.cmp(&two.1)));
        order.into_iter().map(|(_, tenant)| tenant.clone()).collect()
    }

    /// In which order a tenant's lanes are asked: express first, but at every `standard_turn`th job of its own
    /// the other way round.
    pub(super) fn lanes(&self, tenant: &Tenant) -> [Lane; 2] {
        let next = self.accounts.get(tenant).map_or(1, |account| account.taken + 1);
        let mut lanes = Lane::ALL;
        if next.is_multiple_of(self.standard_turn) {
            lanes.reverse();
        }
        lanes
    }

    /// Whether one more job of this tenant may be in flight here.
    pub(super) fn has_place(&self, tenant: &Tenant) -> bool {
        self.accounts.get(tenant).is_some_and(Account::has_place)
    }

    /// The tenant had no job: it saves up nothing.
    pub(super) fn found_idle(&mut self, tenant: &Tenant, now: Instant) {
        if let Some(account) = self.accounts.get_mut(tenant) {
            account.catch_up(self.present, now);
        }
    }

    /// A job of this tenant has got a slot.
    pub(super) fn started(&mut self, tenant: &Tenant, now: Instant) -> Turn {
        self.taken += 1;
        let turn = Turn(self.taken);
        if let Some(account) = self.accounts.get_mut(tenant) {
            self.present = self.present.max(account.time_so_far(now));
            account.running.push(Running { turn, since: now });
            account.taken += 1;
            account.last = turn.0;
        }
        turn
    }

    /// The slot is free again.
    pub(super) fn ended(&mut self, tenant: &Tenant, turn: Turn, now: Instant) {
        let Some(account) = self.accounts.get_mut(tenant) else { return };
        let Some(at) = account.running.iter().position(|running| running.turn == turn) else { return };
        let took = now.duration_since(account.running.swap_remove(at).since).as_secs_f64();
        account.used += took / account.weight;
        account.usually =
            if account.usually == 0.0 { took } else { account.usually + (took - account.usually) * LAST };
    }
}

impl Account {
    fn has_place(&self) -> bool {
        self.running.len() < self.in_flight_max
    }

    /// Where it stands, with what its running jobs have taken so far, or will as usual.
    fn time(&self, now: Instant) -> f64 {
        let of_running = self.running.iter().map(|running| {
            let so_far = now.duration_since(running.since).as_secs_f64();
            so_far.max(self.usually) / self.weight
        });
        self.used + of_running.sum::<f64>()
    }

    /// Where it stands without any guess: what the present is made of, so that nobody who comes is set back by what
    /// others may yet take.
    fn time_so_far(&self, now: Instant) -> f64 {
        let of_running =
            self.running.iter().map(|running| now.duration_since(running.since).as_secs_f64() / self.weight);
        self.used + of_running.sum::<f64>()
    }

    /// Where it stands; of those who stand together, who was served longest ago is first.
    fn place(&self, now: Instant) -> (f64, u64) {
        (self.time(now), self.last)
    }

    fn catch_up(&mut self, present: f64, now: Instant) {
        self.used += (present - self.time(now)).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A service with so many slots, whose tenants' jobs take so many seconds. Time passes when a slot is
    /// waited for.
    struct Simulation {
        share: Share,
        now: Instant,
        slots: usize,
        running: Vec<(Instant, Tenant, Turn)>,
    }

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    fn share(tables: &str) -> Share {
        let tables: toml::Table = tables.parse().unwrap();
        Share::among(&tables.try_into().unwrap(), 8)
    }

    impl Simulation {
        fn of(tables: &str, slots: usize) -> Self {
            Simulation { share: share(tables), now: Instant::now(), slots, running: Vec::new() }
        }

        /// Serves so many jobs of those who have any, and says whose they were.
        fn serve(&mut self, jobs: usize, seconds: &[(&str, f64)]) -> Vec<String> {
            (0..jobs).map(|_| self.serve_one(seconds)).collect()
        }

        fn serve_one(&mut self, seconds: &[(&str, f64)]) -> String {
            if self.running.len() == self.slots {
                let first = (0..self.slots).min_by_key(|at| self.running[*at].0).unwrap();
                let (end, tenant, turn) = self.running.swap_remove(first);
                self.now = end;
                self.share.ended(&tenant, turn, end);
            }
            for asked in self.share.order(self.now, |_| true) {
                let Some((name, seconds)) = seconds.iter().find(|(name, _)| *name == asked.as_str()) else {
                    self.share.found_idle(&asked, self.now);
                    continue;
                };
                let turn = self.share.started(&asked, self.now);
                self.running.push((self.now + Duration::from_secs_f64(*seconds), asked, turn));
                return (*name).to_owned();
            }
            panic!("nobody was served");
        }
    }

    fn count(served: &[String], name: &str) -> usize {
        served.iter().filter(|served| *served == name).count()
    }

    #[test]
    fn slots_are_shared_by_weight() {
        for slots in [1, 4] {
            let mut simulation = Simulation::of("[a]\nweight = 3\n[b]\n[c]\n", slots);
            let served = simulation.serve(500, &[("a", 2.0), ("b", 2.0), ("c", 2.0)]);
            assert!(count(&served, "a").abs_diff(300) <= 5, "{}", count(&served, "a"));
            assert!(count(&served, "b").abs_diff(100) <= 5);
        }
    }

    #[test]
    fn long_jobs_buy_no_larger_share() {
        for slots in [1, 3] {
            let mut simulation = Simulation::of("[long]\n[short]\n", slots);
            let served = simulation.serve(1100, &[("long", 10.0), ("short", 1.0)]);
            assert!(count(&served, "long").abs_diff(100) <= 5, "{}", count(&served, "long"));
        }
    }

    #[test]
    fn who_comes_late_is_next_has_saved_up_nothing_and_is_owed_nothing() {
        let mut simulation = Simulation::of("[hog]\n[late]\n", 1);
        simulation.serve(1000, &[("hog", 1.0)]);
        let served = simulation.serve(20, &[("hog", 1.0), ("late", 1.0)]);
        assert_eq!(served[0], "late", "the hog's queue is no reason to wait");
        assert!(count(&served, "late").abs_diff(10) <= 1, "{served:?}");
    }

    #[test]
    fn free_slots_are_not_all_given_to_one() {
        let mut simulation = Simulation::of("[a]\n[b]\n", 4);
        let served = simulation.serve(4, &[("a", 60.0), ("b", 60.0)]);
        assert_eq!(count(&served, "a"), 2, "{served:?}");
    }

    #[test]
    fn a_tenant_has_no_more_in_flight_than_it_may() {
        let mut share = share("[a]\nin_flight_max = 2\n[b]\n");
        let now = Instant::now();
        let (first, _) = (share.started(&tenant("a"), now), share.started(&tenant("a"), now));
        assert!(!share.has_place(&tenant("a")));
        assert_eq!(share.order(now, |_| true), [tenant("b")]);
        share.ended(&tenant("a"), first, now);
        assert_eq!(share.order(now, |_| true).len(), 2);
    }

    #[test]
    fn who_may_not_be_served_is_left_out_and_saves_up_nothing() {
        let mut simulation = Simulation::of("[full]\n[other]\n", 1);
        simulation.serve(100, &[("other", 1.0)]);
        assert_eq!(simulation.share.order(simulation.now, |of| *of != tenant("full")), [tenant("other")]);
        let served = simulation.serve(10, &[("full", 1.0), ("other", 1.0)]);
        assert!(count(&served, "full") <= 6, "{served:?}");
    }

    #[test]
    fn express_comes_first_but_for_every_eighth_job_of_a_tenant() {
        let mut share = share("[a]\n[b]\n");
        let mut first = |name: &str| {
            let lane = share.lanes(&tenant(name))[0];
            share.started(&tenant(name), Instant::now());
            lane
        };
        let lanes: Vec<Lane> = (0..80).map(|_| first("a")).collect();
        assert_eq!(lanes.iter().filter(|lane| **lane == Lane::Standard).count(), 10);
        assert_eq!(lanes[..7], [Lane::Express; 7]);
        assert_eq!(first("b"), Lane::Express, "every tenant's jobs are counted for themselves");
    }
}
