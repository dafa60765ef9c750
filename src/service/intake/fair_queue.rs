//! Fair queueing: the slots of a service, shared among its tenants by weight.
//!
//! This is start-time fair queueing (Goyal, Vin, Cheng 1996) on slot time divided by the tenant's weight. The tenant
//! with the least virtual time is served first. A tenant without jobs restarts at the present virtual time: it accrues
//! no credit, and one that had the service to itself owes nothing for it.
//!
//! Nothing that a client sends has an influence: no lane, no size, no deadline. A job costs the time that it took. This
//! module does no I/O and reads no clock.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::config::{TenantLimits, Tenants};
use crate::protocol::{Lane, Tenant};

/// Weight of the last job in the estimate of a tenant's slot time.
const LAST_WEIGHT: f64 = 0.25;

/// The flows of all tenants. Virtual time is slot time in seconds, divided by weight.
pub(super) struct FairQueue {
    flows: BTreeMap<Tenant, Flow>,
    standard_turn: u64,
    /// Virtual time of the tenant that was served last, before it was served.
    present: f64,
    /// Number of jobs taken.
    taken: u64,
}

/// One tenant's flow.
struct Flow {
    weight: f64,
    in_flight_max: usize,
    /// Virtual time of its finished jobs, and of its idle time.
    used: f64,
    /// Typical slot time of its jobs, in seconds; 0 before the first.
    typical: f64,
    running: Vec<Running>,
    /// Number of its jobs taken.
    taken: u64,
    /// Number of the ticket it was last served with.
    last: u64,
}

struct Running {
    ticket: Ticket,
    since: Instant,
}

/// A job that has a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl FairQueue {
    pub(super) fn new(tenants: &Tenants, standard_turn: u32) -> Self {
        let flows = tenants.iter().map(|(tenant, limits)| (tenant.clone(), Flow::new(limits))).collect();
        FairQueue { flows, standard_turn: standard_turn.into(), present: 0.0, taken: 0 }
    }

    /// Returns the eligible tenants, the next to serve first. Ineligible tenants accrue no credit.
    pub(super) fn order(&mut self, now: Instant, is_eligible: impl Fn(&Tenant) -> bool) -> Vec<Tenant> {
        let mut order = Vec::new();
        for (tenant, flow) in &mut self.flows {
            if flow.has_room() && is_eligible(tenant) {
                order.push((flow.virtual_time(now), flow.last, tenant));
            } else {
                // Otherwise a tenant whose answer stream was full for an hour would be owed an hour of slot time.
                flow.catch_up(self.present, now);
            }
        }
        // Of equal ones, the one that was served longest ago is first.
        order.sort_by(|one, two| one.0.total_cmp(&two.0).then(one.1.cmp(&two.1)));
        order.into_iter().map(|(_, _, tenant)| tenant.clone()).collect()
    }

    /// Returns a tenant's lanes in the order of polling: express first, but at every `standard_turn`th of its jobs the
    /// other way round.
    pub(super) fn lanes(&self, tenant: &Tenant) -> [Lane; 2] {
        let next = self.flows.get(tenant).map_or(1, |flow| flow.taken + 1);
        let mut lanes = Lane::ALL;
        if next.is_multiple_of(self.standard_turn) {
            lanes.reverse();
        }
        lanes
    }

    /// Returns whether one more job of this tenant may be in flight here.
    pub(super) fn has_room(&self, tenant: &Tenant) -> bool {
        self.flows.get(tenant).is_some_and(Flow::has_room)
    }

    /// Marks a tenant without jobs: it accrues no credit.
    pub(super) fn mark_idle(&mut self, tenant: &Tenant, now: Instant) {
        if let Some(flow) = self.flows.get_mut(tenant) {
            flow.catch_up(self.present, now);
        }
    }

    /// Begins the slot time of a job.
    pub(super) fn started(&mut self, tenant: &Tenant, now: Instant) -> Ticket {
        self.taken += 1;
        let ticket = Ticket(self.taken);
        if let Some(flow) = self.flows.get_mut(tenant) {
            // It never goes back: a tenant that arrives then would start with credit.
            self.present = self.present.max(flow.virtual_time_so_far(now));
            flow.running.push(Running { ticket, since: now });
            flow.taken += 1;
            flow.last = ticket.0;
        }
        ticket
    }

    /// Ends the slot time of a job and charges it to its tenant.
    pub(super) fn ended(&mut self, tenant: &Tenant, ticket: Ticket, now: Instant) {
        let Some(flow) = self.flows.get_mut(tenant) else { return };
        let Some(at) = flow.running.iter().position(|running| running.ticket == ticket) else { return };
        let took = now.duration_since(flow.running.swap_remove(at).since).as_secs_f64();
        // The time that it took, not an estimate: long jobs buy no larger share than short ones.
        flow.used += took / flow.weight;
        flow.typical =
            if flow.typical == 0.0 { took } else { flow.typical + (took - flow.typical) * LAST_WEIGHT };
    }
}

impl Flow {
    fn new(limits: &TenantLimits) -> Self {
        Flow {
            weight: limits.weight.get().into(),
            in_flight_max: limits.in_flight_max.map_or(usize::MAX, |most| most.get() as usize),
            used: 0.0,
            typical: 0.0,
            running: Vec::new(),
            taken: 0,
            last: 0,
        }
    }

    fn has_room(&self) -> bool {
        self.running.len() < self.in_flight_max
    }

    /// Returns its virtual time, where each running job counts with its typical time, or longer if it takes longer.
    fn virtual_time(&self, now: Instant) -> f64 {
        // By elapsed time alone, a job that has just begun costs nothing, and one tenant would get all slots that are
        // free at the same moment.
        let of_running = self.running.iter().map(|running| {
            let so_far = now.duration_since(running.since).as_secs_f64();
            so_far.max(self.typical) / self.weight
        });
        self.used + of_running.sum::<f64>()
    }

    /// Returns its virtual time without an estimate. The present is made of this, so that a tenant that arrives is not
    /// set back by time that others may yet take.
    fn virtual_time_so_far(&self, now: Instant) -> f64 {
        let of_running =
            self.running.iter().map(|running| now.duration_since(running.since).as_secs_f64() / self.weight);
        self.used + of_running.sum::<f64>()
    }

    /// Moves it forward to the present: idle time is not saved up.
    fn catch_up(&mut self, present: f64, now: Instant) {
        self.used += (present - self.virtual_time(now)).max(0.0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A service with `slots` slots. Time passes while a slot is waited for.
    struct Simulation {
        share: FairQueue,
        now: Instant,
        slots: usize,
        running: Vec<(Instant, Tenant, Ticket)>,
    }

    fn tenant(name: &str) -> Tenant {
        name.parse().unwrap()
    }

    fn share(tables: &str) -> FairQueue {
        let tables: toml::Table = tables.parse().unwrap();
        FairQueue::new(&tables.try_into().unwrap(), 8)
    }

    impl Simulation {
        fn new(tables: &str, slots: usize) -> Self {
            Simulation { share: share(tables), now: Instant::now(), slots, running: Vec::new() }
        }

        /// Serves `jobs` jobs of the tenants in `seconds`, each of which takes that long; returns whose they were.
        fn serve(&mut self, jobs: usize, seconds: &[(&str, f64)]) -> Vec<String> {
            (0..jobs).map(|_| self.serve_one(seconds)).collect()
        }

        fn serve_one(&mut self, seconds: &[(&str, f64)]) -> String {
            if self.running.len() == self.slots {
                let first = (0..self.slots).min_by_key(|at| self.running[*at].0).unwrap();
                let (end, tenant, ticket) = self.running.swap_remove(first);
                self.now = end;
                self.share.ended(&tenant, ticket, end);
            }
            for asked in self.share.order(self.now, |_| true) {
                let Some((name, seconds)) = seconds.iter().find(|(name, _)| *name == asked.as_str()) else {
                    self.share.mark_idle(&asked, self.now);
                    continue;
                };
                let ticket = self.share.started(&asked, self.now);
                self.running.push((self.now + Duration::from_secs_f64(*seconds), asked, ticket));
                return (*name).to_owned();
            }
            panic!("no one was served");
        }
    }

    fn count(served: &[String], name: &str) -> usize {
        served.iter().filter(|served| *served == name).count()
    }

    #[test]
    fn slots_are_shared_by_weight() {
        for slots in [1, 4] {
            let mut simulation = Simulation::new("[a]\nweight = 3\n[b]\n[c]\n", slots);
            let served = simulation.serve(500, &[("a", 2.0), ("b", 2.0), ("c", 2.0)]);
            assert!(count(&served, "a").abs_diff(300) <= 5, "{}", count(&served, "a"));
            assert!(count(&served, "b").abs_diff(100) <= 5);
        }
    }

    #[test]
    fn long_jobs_buy_no_larger_share() {
        for slots in [1, 3] {
            let mut simulation = Simulation::new("[long]\n[short]\n", slots);
            let served = simulation.serve(1100, &[("long", 10.0), ("short", 1.0)]);
            assert!(count(&served, "long").abs_diff(100) <= 5, "{}", count(&served, "long"));
        }
    }

    #[test]
    fn a_late_tenant_is_served_next_with_neither_credit_nor_debt() {
        let mut simulation = Simulation::new("[hog]\n[late]\n", 1);
        simulation.serve(1000, &[("hog", 1.0)]);
        let served = simulation.serve(20, &[("hog", 1.0), ("late", 1.0)]);
        assert_eq!(served[0], "late", "the hog's queue is no reason to wait");
        assert!(count(&served, "late").abs_diff(10) <= 1, "{served:?}");
    }

    #[test]
    fn a_new_tenant_is_not_set_back_by_estimates_of_others() {
        let mut share = share("[hog]\n[late]\n");
        let start = Instant::now();
        let long: Vec<Ticket> = (0..4).map(|_| share.started(&tenant("hog"), start)).collect();
        let after = |seconds: u64| start + Duration::from_secs(seconds);
        long.into_iter().for_each(|ticket| share.ended(&tenant("hog"), ticket, after(600)));
        // From here on its jobs take a second, and are expected to take ten minutes.
        let short: Vec<Ticket> = (0..4).map(|_| share.started(&tenant("hog"), after(600))).collect();
        share.mark_idle(&tenant("late"), after(600));
        short.into_iter().for_each(|ticket| share.ended(&tenant("hog"), ticket, after(601)));
        let late = share.started(&tenant("late"), after(601));
        share.ended(&tenant("late"), late, after(602));
        assert_eq!(share.order(after(602), |_| true)[0], tenant("late"));
    }

    #[test]
    fn free_slots_are_not_all_given_to_one_tenant() {
        let mut simulation = Simulation::new("[a]\n[b]\n", 4);
        let served = simulation.serve(4, &[("a", 60.0), ("b", 60.0)]);
        assert_eq!(count(&served, "a"), 2, "{served:?}");
    }

    #[test]
    fn a_tenant_stays_within_its_in_flight_limit() {
        let mut share = share("[a]\nin_flight_max = 2\n[b]\n");
        let now = Instant::now();
        let (first, _) = (share.started(&tenant("a"), now), share.started(&tenant("a"), now));
        assert!(!share.has_room(&tenant("a")));
        assert_eq!(share.order(now, |_| true), [tenant("b")]);
        share.ended(&tenant("a"), first, now);
        assert_eq!(share.order(now, |_| true).len(), 2);
    }

    #[test]
    fn an_ineligible_tenant_is_left_out_and_accrues_no_credit() {
        let mut simulation = Simulation::new("[full]\n[other]\n", 1);
        simulation.serve(100, &[("other", 1.0)]);
        assert_eq!(simulation.share.order(simulation.now, |of| *of != tenant("full")), [tenant("other")]);
        let served = simulation.serve(10, &[("full", 1.0), ("other", 1.0)]);
        assert!(count(&served, "full") <= 6, "{served:?}");
    }

    #[test]
    fn express_comes_first_except_for_every_eighth_job_of_a_tenant() {
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
