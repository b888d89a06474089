//! Every numeric cap in one place. Hitting one is a defined outcome, never growth.

/// Workflows of a plan.
pub const WORKFLOWS_MAX: usize = 64;
/// Steps of a flow.
pub const STEPS_MAX: usize = 64;
/// Requests in all flows of a plan: what they measure must fit into one message.
pub const STEPS_ALL_MAX: usize = 1024;
/// Pieces of a template.
pub const PIECES_MAX: usize = 256;
/// Extra headers of a request.
pub const HEADERS_MAX: usize = 64;
/// Status intervals of an `expect`.
pub const EXPECTS_MAX: usize = 16;
/// Captures of a request.
pub const CAPTURES_MAX: usize = 32;
/// Keys of a JSON path.
pub const JSON_PATH_MAX: usize = 16;
/// Data sources of a plan.
pub const DATA_SOURCES_MAX: usize = 16;
/// Columns of a data source.
pub const COLUMNS_MAX: usize = 64;
/// Rows of a data source.
pub const ROWS_MAX: usize = 100_000;
/// Thresholds of a plan.
pub const THRESHOLDS_MAX: usize = 128;
/// Bytes of the name of a workflow, a data source or a column.
pub const NAME_BYTES_MAX: usize = 64;
/// Bytes of the name of a plan or a step.
pub const LABEL_BYTES_MAX: usize = 256;
/// Encoded size of a checked plan, bytes.
pub const PLAN_BYTES_MAX: usize = 2 << 20;
/// VUs of a workflow.
pub const VUS_MAX: u32 = 1_000_000;
/// Arrivals per second of a workflow.
pub const RATE_PER_SECOND_MAX: u64 = 10_000_000;
/// The longest duration in a plan, seconds.
pub const DURATION_MAX_SECS: u64 = 7 * 24 * 3600;

/// Retries that a plan may allow a job in each datacenter.
pub const JOB_RETRIES_MAX: u8 = 50;
/// Retries of a job in each datacenter where the plan says nothing.
pub const JOB_RETRIES: u8 = 10;
/// Retries that a plan may allow a workflow in each datacenter.
pub const WORKFLOW_RETRIES_MAX: u8 = 5;
/// Retries of a workflow in each datacenter where the plan says nothing.
pub const WORKFLOW_RETRIES: u8 = 3;
/// A job may lose so many times as many workers as it has retries before its load shrinks.
pub const LOSSES_PER_RETRY: u32 = 5;
/// Failures of workers that a budget of retries tells apart.
pub const INCIDENTS_MAX: usize = 256;
/// The fewest workers a job may lose before its load shrinks.
pub const LOSSES_LEAST: u32 = 10;

/// Shards of a workflow.
pub const SHARDS_MAX: usize = 1024;
/// Runs that one worker holds, live or waiting for their final acknowledgement.
pub const RUNS_PER_WORKER_MAX: usize = 512;
/// Heartbeats whose send a worker remembers; a confirmation of an older one is dropped.
pub const HEARTBEATS_MAX: usize = 4096;
/// Workers of a datacenter.
pub const WORKERS_MAX: usize = 10_000;
/// Fences a worker remembers; the ones of closed jobs go first.
pub const FENCES_MAX: usize = 100_000;
/// Voters of a group.
pub const VOTERS_MAX: usize = 9;

/// Learners of a group.
pub const LEARNERS_MAX: usize = 8;

/// Sessions of gates: one per member.
pub const SESSIONS_MAX: usize = VOTERS_MAX + LEARNERS_MAX;

/// Disks whose last submission a group remembers; those that are no members go first.
pub const ORIGINS_MAX: usize = 256;

/// Entries in one message between members.
pub const BATCH_ENTRIES_MAX: usize = 1024;
/// Bytes of entries in one message between members; one entry may have more.
pub const BATCH_BYTES_MAX: usize = 4 << 20;
/// Bytes of a snapshot in one message between members.
pub const CHUNK_BYTES_MAX: usize = 1 << 20;
/// Committed entries that a member keeps for those that lag.
pub const RETAINED_MAX: usize = 65_536;
/// Their bytes.
pub const RETAINED_BYTES_MAX: usize = 16 << 20;
/// Entries of a leader's log that are not committed, above which it takes no forwarded ones.
pub const UNCOMMITTED_MAX: u64 = 8192;
/// Submissions of a node that are not committed.
pub const SUBMISSIONS_MAX: usize = 1024;
/// Their bytes.
pub const SUBMISSIONS_BYTES_MAX: usize = 32 << 20;
/// Submissions in one message, and on their way to the leader at a time.
pub const FORWARDED_MAX: usize = 128;
/// Reads of a node that wait for the leader.
pub const READS_MAX: usize = 4096;

/// Parts a manager holds before the gate has acknowledged their results.
pub const PARTS_MAX: usize = 64;
/// Ended or never accepted parts a manager remembers so that they do not come back; the oldest
/// jobs' go first.
pub const TOMBSTONES_MAX: usize = 100_000;
/// Loss intervals a workflow's report lists; further ones are folded into the last.
pub const LOSSES_MAX: usize = 1024;

/// Jobs that have not ended, running or waiting for their turn.
pub const JOBS_LIVE_MAX: usize = 256;
/// Encoded bytes of their plans.
pub const PLANS_LIVE_BYTES_MAX: usize = 32 << 20;
/// Bytes of the name under which a client submits.
pub const TENANT_BYTES_MAX: usize = 64;
/// Clients whose rates a gate knows; further ones share one.
pub const CLIENTS_MAX: usize = 10_000;
/// Ended jobs a gate remembers; the oldest go first.
pub const JOB_HISTORY_MAX: usize = 1000;
/// Idempotency keys a gate remembers.
pub const KEYS_MAX: usize = 100_000;
/// Updates of a job kept for watchers that resume.
pub const UPDATES_MAX: usize = 1024;
/// Updates of all jobs kept; the oldest of the longest list goes first.
pub const UPDATES_ALL_MAX: usize = 4096;
/// Submissions of a gate that are not answered yet.
pub const CALLS_DISPATCH_MAX: u32 = 1000;
/// Questions about one job that are not answered yet.
pub const CALLS_DATA_MAX: u32 = 600;
/// Lists that are not answered yet.
pub const CALLS_TELEMETRY_MAX: u32 = 400;
/// Submissions to the log that are left to cancels when new jobs find no room any more.
pub const SUBMISSIONS_RESERVED: usize = 256;
/// Datacenters of a gate, and of a plan.
pub const DATACENTERS_MAX: usize = 64;
/// The weight of a datacenter in a plan.
pub const WEIGHT_MAX: u32 = 1000;
/// Spans at whose ends a manager says that cores become free; what is beyond counts to the last.
pub const RELEASES_MAX: usize = 16;
/// Decisions about where its parts go that a job keeps; the oldest go first.
pub const DECISIONS_MAX: usize = 8;
/// Datacenters that such a decision explains; the ones that scored worst are left out.
pub const CANDIDATES_MAX: usize = 16;
/// Addresses of one name that are remembered.
pub const ADDRESSES_MAX: usize = 64;
/// Members a node knows: the workers and managers of its datacenter, or the gates.
pub const MEMBERS_MAX: usize = WORKERS_MAX + 64;
/// Claims of one message between members.
pub const SWIM_UPDATES_MAX: usize = 20;
/// Bytes of a message between members: with the addresses that the transport adds, a datagram has
/// at most `DATAGRAM_MAX`.
pub const SWIM_BYTES_MAX: usize = 900;
/// Bytes of a datagram.
pub const DATAGRAM_MAX: usize = 1400;
/// Claims that a member passes on.
pub const RUMOURS_MAX: usize = 1000;
/// Members that a member probes at a time.
pub const PROBES_MAX: usize = 256;
/// Members that a member probes for others at a time.
pub const RELAYS_MAX: usize = 100;
/// The highest incarnation; nobody refutes that often.
pub const INCARNATION_MAX: u64 = 1 << 48;

/// Bytes of an idempotency key.
pub const KEY_BYTES_MAX: usize = 128;

/// Distinct buckets of a histogram: 3 digits from 1 us to 1 h need fewer.
pub const BUCKETS_MAX: usize = 32 << 10;
/// Buckets of all histograms in one message; above, they become coarser. At most 14 bytes each.
pub const TOTALS_CELLS_MAX: usize = 256 << 10;
/// Distinct status codes counted per step.
pub const STATUSES_MAX: usize = 64;
/// The highest value a histogram records, microseconds: one hour.
pub const HISTOGRAM_MAX_US: u64 = 3_600_000_000;

/// Open plan seconds of a workflow whose window is not closed; above, the oldest is closed early.
pub const WINDOW_SLOTS_MAX: usize = 64;
/// Windows of a workflow kept as they were cut.
pub const WINDOWS_HOT_MAX: usize = 60;
/// Older windows of a workflow kept per ten seconds: an hour.
pub const WINDOWS_WARM_MAX: usize = 360;
/// Still older windows of a workflow kept per minute: a day.
pub const WINDOWS_COLD_MAX: usize = 1440;
/// Buckets in the windows of all jobs, 16 bytes each; above, the oldest of the longest list are
/// added up.
pub const WINDOW_CELLS_MAX: usize = 4 << 20;

/// Payload bytes of a frame on the wire.
pub const FRAME_MAX: usize = 8 << 20;
/// Payload bytes of a journal record.
pub const RECORD_MAX: usize = 8 << 20;
/// Payload bytes of a snapshot.
pub const SNAPSHOT_MAX: usize = 64 << 20;
/// Inputs that wait for one node.
pub const INBOX_MAX: usize = 8192;
/// Rounds of a role's settle loop.
pub const SETTLE_MAX: usize = 10_000;

const _: () = assert!(JOB_RETRIES_MAX as u32 * LOSSES_PER_RETRY < INCIDENTS_MAX as u32);
const _: () = assert!(PLAN_BYTES_MAX * 2 < FRAME_MAX);
const _: () = assert!(TOTALS_CELLS_MAX * 14 < FRAME_MAX / 2);
const _: () = assert!(BUCKETS_MAX <= TOTALS_CELLS_MAX);
const _: () = assert!(PLAN_BYTES_MAX * 2 < RECORD_MAX);
const _: () = assert!(BATCH_BYTES_MAX * 2 <= FRAME_MAX);
const _: () = assert!(CHUNK_BYTES_MAX * 2 < RECORD_MAX);
const _: () = assert!(VOTERS_MAX + LEARNERS_MAX < ORIGINS_MAX);
const _: () = assert!(UPDATES_MAX <= UPDATES_ALL_MAX);
const _: () = assert!(PLANS_LIVE_BYTES_MAX * 2 <= SNAPSHOT_MAX);
const _: () = assert!(PLAN_BYTES_MAX <= PLANS_LIVE_BYTES_MAX);
const _: () = assert!(SUBMISSIONS_RESERVED < SUBMISSIONS_MAX);
const _: () = assert!(SWIM_BYTES_MAX < DATAGRAM_MAX);
const _: () = assert!(JOBS_LIVE_MAX + JOB_HISTORY_MAX < UPDATES_ALL_MAX);
