//! A case: everything a seed draws before the first event.

use std::time::Duration;

use hyperscale_core::config::{
    AdmissionConfig, DatacenterConfig, GateConfig, LeaseConfig, ManagerConfig, MembershipConfig,
    WorkerConfig,
};
use hyperscale_core::consensus::ConsensusConfig;
use hyperscale_core::flow::WINDOW;
use hyperscale_core::health::HealthConfig;
use hyperscale_core::ids::NodeId;
use hyperscale_core::lease::grantor_wait;

use crate::clock::Clock;
use crate::engine::{Stall, Target};
use crate::faults::{self, Class, Fault, Ground};
use crate::jobs::{self, Aside, JobSpec};
use crate::layout::{self, Layout, Role};
use crate::manner::Manner;
use crate::network::Weather;
use crate::plans;
use crate::streams::{Cursor, Stream, Streams};

const MS: u64 = 1_000_000;

/// Everything drawn for a seed.
#[derive(Clone, Debug)]
pub struct Case {
    /// The seed.
    pub seed: u64,
    /// Who stands where.
    pub layout: Layout,
    /// Fault classes that are on.
    pub classes: Vec<Class>,
    /// Cores of each worker.
    pub cores: Vec<u16>,
    /// Clients.
    pub clients: u16,
    /// A clock per node.
    pub clocks: Vec<Clock>,
    /// Confirmations.
    pub lease: LeaseConfig,
    /// What the network does while faults go on.
    pub weather: Weather,
    /// An ordinary sync takes so long, nanoseconds: shortest and longest.
    pub sync_ns: (u64, u64),
    /// How the target behaves.
    pub target: Target,
    /// What clients submit.
    pub jobs: Vec<JobSpec>,
    /// What else is asked about their jobs.
    pub asides: Vec<Aside>,
    /// Faults in the order of their times.
    pub faults: Vec<(u64, Fault)>,
    /// When faults stop, true time.
    pub calm_from: u64,
    /// What every gate's configuration has in common.
    pub gate: GateConfig,
    /// What every manager's configuration has in common.
    pub manager: ManagerConfig,
}

/// The id of the node at this place.
pub fn node_id(host: u16) -> NodeId {
    NodeId::new(u64::from(host) + 1)
}

/// The place of a node.
pub fn host_of(node: NodeId) -> u16 {
    (node.get() - 1) as u16
}

impl Case {
    /// What `seed` draws, without some classes.
    pub fn drawn(seed: u64, without: &[Class]) -> Self {
        let streams = Streams::new(seed);
        let mut top = streams.cursor(Stream::Topology, 2);
        let least = 1 + u16::from(Class::is_sparse(streams));
        let workers: &[u16] = match layout::REPLICATED {
            true => &[1, 2, 3, 3, 4, 5, 5, 6, 8, 12, 20],
            false => &[1, 2, 2, 3, 3, 4, 5, 6, 8],
        };
        let workers = top.pick(workers).max(least);
        let layout = match layout::REPLICATED {
            true => match Layout::drawn(streams, workers) {
                // The worker that dies must have had something to do.
                several if Class::is_sparse(streams) => several.first_datacenter(),
                layout => layout,
            },
            false => Layout::new(1, &[(1, workers)]),
        };
        Self::of_layout(seed, without, layout)
    }

    /// What `seed` draws beside its layout.
    pub fn of_layout(seed: u64, without: &[Class], layout: Layout) -> Self {
        let streams = Streams::new(seed);
        let classes = Class::of_seed(streams, without);
        let mut top = streams.cursor(Stream::Topology, 0);
        let least = 1 + u16::from(Class::is_sparse(streams));
        let workers = layout.all_workers().len();
        let cores: Vec<u16> =
            (0..workers).map(|_| top.pick(&[1_u16, 1, 2, 3, 4]).max(least)).collect();
        let calm_from = top.within(9_000, 20_000) * MS;
        let mut jobs = jobs::drawn(streams, layout, calm_from);
        if Class::is_sparse(streams) {
            jobs.truncate(1);
            jobs[0].plan = plans::steady(top.within(20, 300), top.within(8, 12));
            jobs[0].cancel_at = None;
        }
        let clients = jobs.len() as u16;
        let lease = LeaseConfig {
            ttl: Duration::from_millis(top.pick(&[1_000, 2_000, 3_000])),
            drift_ppm: top.pick(&[10_000, 50_000, 200_000, 200_000]),
        };
        let (mut gate, mut manager) = configs(streams, &mut top, lease);
        match Manner::of(streams, layout) {
            Manner::Forsaken => manager.gate_silence = Duration::from_millis(1_500),
            Manner::Frozen => manager.stuck_after = Duration::from_millis(1_500),
            Manner::Usual | Manner::Crowd | Manner::Long => {}
        }
        gate.health = health(streams);
        gate.admission = admission(streams);
        manager.reports_per_second =
            streams.cursor(Stream::Pressure, 0).pick(&[5_000, 5_000, 5_000, 1, 2, 4, 8]);
        let mut members = streams.cursor(Stream::Topology, 1 << 33);
        (gate.membership, manager.membership) =
            (membership(&mut members), membership(&mut members));
        let ground = Ground {
            layout,
            places: layout.hosts() + clients,
            until: calm_from - 500 * MS,
            ttl: lease.ttl.as_nanos() as u64,
        };
        let mut target = streams.cursor(Stream::Load, 1 << 60);
        Self {
            seed,
            clocks: clocks(streams, &classes, layout, lease),
            layout,
            weather: weather(streams, &classes),
            sync_ns: top.pick(&[(50_000, 400_000), (500_000, 4 * MS), (3 * MS, 25 * MS)]),
            target: Target {
                fastest: target.within(0, 8) as u8,
                spread: target.within(0, 7) as u8,
                failing_ppm: target.pick(&[0, 5_000, 50_000]),
                stall: stall(streams, layout),
                unprepared_ppm: target.pick(&[0, 0, 0, 20_000]).max(unprepared(streams)),
            },
            asides: jobs::asides(streams, &jobs, calm_from),
            jobs,
            faults: faults::schedule(streams, &classes, ground),
            calm_from,
            classes,
            cores,
            clients,
            lease,
            gate,
            manager,
        }
    }

    /// The reference cluster: 5 workers, 500 arrivals per second for 60 s, the faults of a median
    /// seed.
    pub fn reference(seed: u64) -> Self {
        let mut case = Self::drawn(seed, &[]);
        case.classes = vec![Class::Loss, Class::Dup, Class::Pause, Class::Offset, Class::Drift];
        let streams = Streams::new(seed);
        let ttl = Duration::from_secs(3);
        case.lease = LeaseConfig { ttl, drift_ppm: 10_000 };
        case.layout = Layout::new(1, &[(1, 5)]);
        let manager = case.layout.managers(0).start;
        case.manager = ManagerConfig::new(node_id(manager), Layout::name(0));
        case.gate = GateConfig::new(node_id(0), Vec::new());
        case.cores = vec![1; 5];
        case.clients = 1;
        case.asides = Vec::new();
        case.clocks = clocks(streams, &case.classes, case.layout, case.lease);
        let (delay_min, delay_max) = (100_000, MS);
        case.weather =
            Weather { delay_min, delay_max, loss_ppm: 5_000, dup_ppm: 5_000, ..Weather::default() };
        case.sync_ns = (500_000, 4 * MS);
        case.target =
            Target { fastest: 4, spread: 6, failing_ppm: 1_000, unprepared_ppm: 0, stall: None };
        let plan = plans::steady(500, 60);
        case.jobs =
            vec![JobSpec { at: 1_000 * MS, key: "reference".into(), plan, cancel_at: None }];
        case.calm_from = 62_000 * MS;
        let class = Class::CrashWorker;
        case.faults = vec![
            (12_000 * MS, Fault::Crash { host: 3, between: true, down: Some(500 * MS), class }),
            (25_000 * MS, Fault::Pause { host: 4, span: 900 * MS }),
            (40_000 * MS, Fault::Pause { host: manager, span: 400 * MS }),
        ];
        case
    }

    /// Nodes.
    pub fn hosts(&self) -> u16 {
        self.layout.hosts()
    }

    /// Nodes and clients.
    pub fn places(&self) -> u16 {
        self.hosts() + self.clients
    }

    /// Whether a fault class is on.
    pub fn has(&self, class: Class) -> bool {
        self.classes.contains(&class)
    }

    /// Cores of the worker at this place.
    pub fn cores_of(&self, host: u16) -> u16 {
        self.cores[usize::from(host - self.layout.all_workers().start)]
    }

    /// The configuration of the gate at this place.
    pub fn gate_config(&self, host: u16) -> GateConfig {
        let datacenters = self.layout.datacenters().map(|datacenter| DatacenterConfig {
            name: Layout::name(datacenter),
            managers: self.layout.managers(datacenter).map(node_id).collect(),
        });
        GateConfig {
            node: node_id(host),
            datacenters: datacenters.collect(),
            consensus: self.consensus(host, &self.gate.consensus),
            ..self.gate.clone()
        }
    }

    /// The configuration of the manager at this place of a datacenter.
    pub fn manager_config(&self, host: u16, datacenter: u16) -> ManagerConfig {
        ManagerConfig {
            node: node_id(host),
            datacenter: Layout::name(datacenter),
            consensus: self.consensus(host, &self.manager.consensus),
            ..self.manager.clone()
        }
    }

    /// What a member knows of its group from the start.
    fn consensus(&self, host: u16, common: &ConsensusConfig) -> ConsensusConfig {
        let group = self.layout.group_of(host);
        let members = group.map(|group| self.layout.members(group)).unwrap_or_default();
        let peers = members.filter(|member| *member != host).map(node_id).collect();
        ConsensusConfig { peers, drift_ppm: self.lease.drift_ppm, ..common.clone() }
    }

    /// The configuration of the worker at this place of a datacenter.
    pub fn worker_config(&self, host: u16, datacenter: u16) -> WorkerConfig {
        WorkerConfig {
            node: node_id(host),
            cores: self.cores_of(host),
            managers: self.layout.managers(datacenter).map(node_id).collect(),
            lease: self.lease,
            membership: self.manager.membership,
        }
    }

    /// How long, in true nanoseconds, after the faults stop every job must be terminal and
    /// forgotten. Computed from configured timeouts and the plans; clocks may be slow by the
    /// bound.
    pub fn liveness_bound(&self) -> u64 {
        let manager = &self.manager;
        let wait = grantor_wait(self.lease.ttl, self.lease.drift_ppm);
        let resend = manager.resend_after.max(self.gate.resend_after) * 16;
        let per_workflow =
            manager.prepare_timeout * 2 + manager.cores_wait + manager.replace_wait + wait * 3;
        // A part may find no datacenter for as long as an offer may go unanswered.
        let placing = self.gate.accept_within * 2;
        let mut bound = resend * 6 + wait * 2 + self.gate.result_grace + placing + WINDOW * 6;
        bound += Duration::from_nanos(self.target.stall.map_or(0, |stall| stall.span));
        for job in &self.jobs {
            for workflow in job.plan.workflows.iter() {
                bound += workflow.executor.planned_duration() + workflow.graceful_stop;
                bound += per_workflow;
            }
        }
        let slow = 1_000_000 - u128::from(self.worst_drift_ppm()).min(900_000);
        (bound.as_nanos() * 1_000_000 / slow) as u64
    }

    /// How long, in true nanoseconds, after the faults stop every group has one leader that all of
    /// its members know. A member that joins or lost its disk has to catch up first.
    pub fn agreement_bound(&self) -> u64 {
        let slowest = |config: &ConsensusConfig| config.election_max * 20 + config.heartbeat * 40;
        let bound = slowest(&self.gate.consensus).max(slowest(&self.manager.consensus));
        let delay = Duration::from_nanos(self.weather.delay_max) * 200;
        (bound + delay).as_nanos() as u64 * 2
    }

    /// How long, in true nanoseconds, after the faults stop every member takes those for living
    /// that live. Local health has to recover first, period by stretched period.
    pub fn members_bound(&self) -> u64 {
        let members = u32::from(self.hosts()) * 4 + 100;
        let slowest =
            |config: &MembershipConfig| config.period * members + config.suspicion_max * 2;
        let bound = slowest(&self.gate.membership).max(slowest(&self.manager.membership));
        bound.as_nanos() as u64 * 2
    }

    /// The largest deviation of a clock of this case or its configuration, millionths.
    pub fn worst_drift_ppm(&self) -> u32 {
        let clocks = self.clocks.iter().map(|clock| clock.drift_ppm.unsigned_abs()).max();
        clocks.unwrap_or(0).max(self.lease.drift_ppm)
    }
}

fn configs(streams: Streams, top: &mut Cursor, lease: LeaseConfig) -> (GateConfig, ManagerConfig) {
    let ms = |top: &mut Cursor, of: &[u64]| Duration::from_millis(top.pick(of));
    let mut gate = GateConfig::new(node_id(0), Vec::new());
    gate.resend_after = ms(top, &[200, 500]);
    gate.checkpoint_entries = top.pick(&[4, 20, 10_000]);
    let mut patience = streams.cursor(Stream::Topology, 4);
    let (is_hasty, is_curt) = (patience.chance(50_000), patience.chance(40_000));
    gate.accept_within = Duration::from_millis(if is_hasty { 2_000 } else { 30_000 });
    gate.result_grace = Duration::from_millis(if is_curt { 1_500 } else { 60_000 });
    slow(&mut gate.consensus, top.pick(&[1, 1, 2, 4]));
    let mut manager = ManagerConfig::new(node_id(0), Layout::name(0));
    manager.lease = lease;
    if is_hasty || is_curt {
        // What no gate wants any more is given up before the case is over.
        manager.begin_within = Duration::from_millis(6_000);
    }
    manager.start_delay = ms(top, &[20, 100]);
    manager.prepare_timeout = ms(top, &[2_000, 5_000]);
    manager.replace_wait = ms(top, &[500, 3_000, 10_000]);
    manager.cores_wait = ms(top, &[20_000, 60_000]);
    manager.resend_after = ms(top, &[200, 500]);
    manager.checkpoint_entries = top.pick(&[8, 40, 10_000]);
    slow(&mut manager.consensus, top.pick(&[1, 1, 1, 2]));
    // On a cursor of their own, so that no other draw shifts.
    let mut roles = streams.cursor(Stream::Topology, 3);
    manager.gate_silence = ms(&mut roles, &[1_500, 4_000, 300_000]);
    manager.stuck_after = ms(&mut roles, &[1_500, 4_000, 120_000]);
    (gate, manager)
}

/// What gates take from clients.
fn admission(streams: Streams) -> AdmissionConfig {
    let mut cursor = streams.cursor(Stream::Flow, 1 << 32);
    AdmissionConfig {
        jobs_running_max: cursor.pick(&[1, 1, 1, 2, 64]),
        submissions: cursor.pick(&[0, 1, 2, 50]),
        questions: cursor.pick(&[0, 10, 30, 500]),
        lists: cursor.pick(&[5, 100]),
        queue_patience: Duration::from_millis(cursor.pick(&[500, 3_000, 30_000])),
    }
}

/// How patiently gates judge datacenters: as in production, or faster, so that short cases see it.
fn health(streams: Streams) -> HealthConfig {
    let mut cursor = streams.cursor(Stream::Topology, 3);
    let mut ms = |of: &[u64]| Duration::from_millis(cursor.pick(of));
    HealthConfig {
        probe_every: ms(&[500, 1_000]),
        suspect_after: ms(&[2_000, 3_000]),
        unreachable_after: ms(&[4_000, 4_000, 10_000]),
        failure_lasts: ms(&[1_000, 5_000]),
        recovery_step: ms(&[1_000, 10_000]),
        flap_hold: ms(&[5_000, 60_000]),
        correlated_hold: ms(&[10_000, 60_000]),
        circuit_open: ms(&[2_000, 10_000]),
        route_hold: ms(&[1_000, 30_000]),
        spill_wait: ms(&[1_000, 60_000]),
        ..HealthConfig::default()
    }
}

/// In some seeds the engine of a worker hangs for a while, in a few those of all.
fn stall(streams: Streams, layout: Layout) -> Option<Stall> {
    let mut cursor = streams.cursor(Stream::Load, (1 << 60) + 2);
    let all = layout.all_workers();
    let host = all.start + cursor.within(0, u64::from(all.end - all.start) - 1) as u16;
    let (from, span) = (cursor.within(1_000, 8_000) * MS, cursor.within(2_000, 9_000) * MS);
    let is_on = cursor.chance(250_000) && !Class::is_sparse(streams);
    if Manner::of(streams, layout) == Manner::Frozen {
        let (hosts, from) = ((all.start, all.end), cursor.within(4_000, 6_000) * MS);
        return Some(Stall { hosts, from, span: 12_000 * MS });
    }
    is_on.then_some(Stall { hosts: (host, host + 1), from, span })
}

/// In some seeds workers often cannot prepare a run.
fn unprepared(streams: Streams) -> u32 {
    let mut cursor = streams.cursor(Stream::Load, (1 << 60) + 1);
    let often = cursor.pick(&[100_000, 300_000, 500_000]);
    if cursor.chance(30_000) { often } else { 0 }
}

fn membership(cursor: &mut Cursor) -> MembershipConfig {
    let ms = Duration::from_millis;
    let period = cursor.pick(&[500, 1_000, 1_000, 2_000]);
    let suspicion_min = cursor.pick(&[400, 750, 1_500]);
    MembershipConfig {
        period: ms(period),
        probe_timeout: ms(period / 2),
        resend_after: ms(period / 8),
        proxies: cursor.pick(&[0, 1, 3, 3]),
        suspicion_min: ms(suspicion_min),
        suspicion_max: ms(suspicion_min * cursor.pick(&[1, 4, 8])),
        confirmations: cursor.pick(&[1, 3, 3]),
        dead_kept: ms(cursor.pick(&[20_000, 120_000])),
    }
}

/// A group whose members are far from each other takes longer timers.
fn slow(consensus: &mut ConsensusConfig, factor: u32) {
    consensus.heartbeat *= factor;
    consensus.silence *= factor;
    consensus.election_min *= factor;
    consensus.election_max *= factor;
}

fn clocks(streams: Streams, classes: &[Class], layout: Layout, lease: LeaseConfig) -> Vec<Clock> {
    let clock = |host| clock(streams, classes, (host, layout.role(host)), lease);
    (0..layout.hosts()).map(clock).collect()
}

fn clock(
    streams: Streams,
    classes: &[Class],
    (host, role): (u16, Role),
    lease: LeaseConfig,
) -> Clock {
    let mut cursor = streams.cursor(Stream::Clock, u64::from(host));
    let bound = u64::from(lease.drift_ppm);
    let offset = cursor.within(1, 1 << 45);
    let way = cursor.draw().below(5);
    let within = cursor.within(0, 2 * bound) as i32 - bound as i32;
    let beyond = cursor.within(bound * 3 / 2, (bound * 4).min(500_000)) as i32;
    let (is_beyond, sign) = (cursor.chance(400_000), if way.is_multiple_of(2) { 1 } else { -1 });
    let on = |class| classes.contains(&class);
    let grants = matches!(role, Role::Manager(_));
    // The worst for leases: a grantor as fast as clocks may be, holders as slow.
    let is_opposite = streams.draw(Stream::Clock, 1 << 32, 0).chance(350_000);
    let drift_ppm = match way {
        _ if on(Class::DriftBeyond) && (is_beyond || grants) => beyond * sign,
        _ if !on(Class::Drift) => 0,
        _ if is_opposite && grants => bound as i32,
        _ if is_opposite && matches!(role, Role::Worker(_)) => -(bound as i32),
        0 | 2 => bound as i32,
        1 | 3 => -(bound as i32),
        _ => within,
    };
    Clock { offset: if on(Class::Offset) { offset } else { 1_000 * MS }, drift_ppm }
}

fn weather(streams: Streams, classes: &[Class]) -> Weather {
    let mut cursor = streams.cursor(Stream::Swarm, 1 << 32);
    let (delay_min, delay_max) =
        cursor.pick(&[(20_000, 200_000), (50_000, 2 * MS), (MS, 8 * MS), (5 * MS, 40 * MS)]);
    let on = |class, value: u64| if classes.contains(&class) { value as u32 } else { 0 };
    let loss = cursor.pick(&[5_000, 30_000, 120_000]);
    let dup = cursor.pick(&[5_000, 50_000, 200_000]);
    let reorder = cursor.pick(&[10_000, 100_000, 400_000]);
    let spike = cursor.pick(&[2_000, 20_000, 60_000]);
    let spike_max = cursor.within(20 * MS, 4_000 * MS);
    let wire = cursor.pick(&[0, 10_000, 1_000_000]);
    let damage = cursor.pick(&[2_000, 20_000, 80_000]);
    let echo = cursor.pick(&[20_000, 200_000, 600_000]);
    Weather {
        delay_min,
        delay_max,
        spike_ppm: on(Class::Spike, spike),
        spike_max,
        reorder_ppm: on(Class::Reorder, reorder),
        loss_ppm: on(Class::Loss, loss),
        dup_ppm: on(Class::Dup, dup),
        late_ppm: 200_000,
        late_max: 15_000 * MS,
        echo_ppm: on(Class::Dup, echo),
        wire_ppm: if classes.contains(&Class::Damage) { 1_000_000 } else { wire },
        damage_ppm: on(Class::Damage, damage),
    }
}
