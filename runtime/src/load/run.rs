//! One run of the engine: paces its users, holds its permit, reports its totals.
//!
//! The core's `Pacer` decides what is issued; this asks it whenever something happened (an
//! iteration ended, a permit came, an alarm rang), hands items to users, and looks at the clock.
//! A user compares the permit with the clock again right before every request it writes, so that
//! nothing leaves after the permit ended however long the thread was stalled between (P1, P4).
//!
//! Totals are cut at whole plan seconds: the first thing that ends in a later second, or the tick
//! when nothing does, first reports what there was before. Reports and progress are dropped when
//! the node's queue is full, because the next one contains them; `Prepared` and `Ended` wait.
//!
//! It opens no connection and knows no HTTP: `user` does.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use hyperscale_core::effect::Permit;
use hyperscale_core::ids::RunId;
use hyperscale_core::input::{EngineEvent, Input, Progress};
use hyperscale_core::plan::{Executor, Issue, Pace, Pacer, PlanTime, Slice};
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;

use super::connection::{Exchange, Shared};
use super::flow::{Flow, Verdict};
use super::meter::Meter;
use super::template::Scratch;
use super::user;
use super::watch::Watch;

/// The shortest sleep of a run's own task: arrivals that are closer together leave together.
pub(super) const NAP_NS: u64 = 100_000;

/// A run that is ready, and what its users need.
#[derive(Debug)]
pub(super) struct Run {
    id: RunId,
    pub(super) slice: Slice,
    pub(super) flow: Flow,
    pub(super) shared: Rc<Shared>,
    pub(super) addresses: Rc<[SocketAddr]>,
    pub(super) scratch: RefCell<Scratch>,
    events: mpsc::Sender<Input>,
    permit: Cell<Option<Permit>>,
    /// A new permit came.
    permitted: Notify,
    /// The run's own task has something to look at.
    attention: Notify,
    /// When the run's own task will look at the clock next.
    armed: Cell<u64>,
    /// The end of the plan second that is open, in nanoseconds of the clock.
    cut_at: Cell<u64>,
    /// The counters that the node was told last.
    told: Cell<Progress>,
    /// Most items that one look at the clock may issue: 1 ms of arrivals.
    batch: usize,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    pacer: Pacer,
    meter: Meter,
    users: Vec<Slot>,
    tasks: JoinSet<()>,
    /// Items handed out and not ended.
    open: usize,
    /// The newest plan second reported.
    second: u32,
    watch: Watch,
    phase: Phase,
}

/// What the pacer said last, as far as the node wants to know at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Issuing,
    Starved,
    Parked,
    Done,
}

/// One user: a task, once it had something to do.
#[derive(Debug, Default)]
struct Slot {
    spawned: bool,
    issue: Option<Issue>,
    open: bool,
    /// The request that is under way.
    request: Option<usize>,
    waker: Option<Waker>,
}

/// What a prepared run consists of.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) id: RunId,
    pub(super) slice: Slice,
    pub(super) flow: Flow,
    pub(super) addresses: Rc<[SocketAddr]>,
    pub(super) events: mpsc::Sender<Input>,
}

impl Run {
    /// A run without a permit.
    pub(super) fn new(prepared: Prepared) -> Rc<Self> {
        let Prepared { id, slice, flow, addresses, events } = prepared;
        let state = State {
            pacer: Pacer::new(&slice),
            meter: Meter::new(flow.requests),
            users: (0..slice.share.vus).map(|_| Slot::default()).collect(),
            tasks: JoinSet::new(),
            open: 0,
            second: 0,
            watch: Watch::start(crate::clock::now_ns()),
            phase: Phase::Issuing,
        };
        Rc::new(Self {
            id,
            batch: batch(&slice),
            slice,
            flow,
            shared: Rc::default(),
            addresses,
            scratch: RefCell::default(),
            events,
            permit: Cell::new(None),
            permitted: Notify::new(),
            attention: Notify::new(),
            armed: Cell::new(u64::MAX),
            cut_at: Cell::new(u64::MAX),
            told: Cell::default(),
            state: RefCell::new(state),
        })
    }

    /// Replaces the permit and lets waiting users look at it.
    pub(super) fn on_permit(&self, permit: Permit) {
        let mut state = self.state.borrow_mut();
        if !self.is_permitted() {
            state.watch = Watch::start(crate::clock::now_ns());
        }
        self.permit.set(Some(permit));
        state.pacer.permit(permit.ceiling);
        if state.phase == Phase::Starved {
            // If it still is, the node is told again.
            self.told.set(Progress::default());
        }
        self.cut_at.set(self.cut_after(state.second));
        self.permitted.notify_waiters();
    }

    /// Asks the pacer and hands out what it issues; returns when it wants to be asked again.
    pub(super) fn pump(self: &Rc<Self>, now: u64) -> u64 {
        let Some(permit) = self.permit.get() else { return u64::MAX };
        let mut state = self.state.borrow_mut();
        let at = plan_time(now, &permit);
        let permitted = self.permits(now);
        for _ in 0..self.batch {
            let pace = state.pacer.next(at, permitted);
            let (phase, wake) = match pace {
                Pace::Issue(issue) => {
                    self.hand(&mut state, issue);
                    continue;
                }
                Pace::WaitUntil(due) => (Phase::Issuing, Some(due)),
                Pace::Busy(wake) => (Phase::Issuing, wake),
                Pace::Starved(wake) => (Phase::Starved, wake),
                Pace::Parked => (Phase::Parked, None),
                Pace::Done => (Phase::Done, None),
            };
            if phase != std::mem::replace(&mut state.phase, phase) && phase != Phase::Issuing {
                self.on_progress(&state);
                self.attention.notify_one();
            }
            return wake.map_or(u64::MAX, |due| clock_time(due, &permit));
        }
        now
    }

    fn hand(self: &Rc<Self>, state: &mut State, issue: Issue) {
        state.open += 1;
        let Some(slot) = state.users.get_mut(issue.slot as usize) else { return };
        slot.issue = Some(issue);
        slot.open = true;
        if !std::mem::replace(&mut slot.spawned, true) {
            state.tasks.spawn_local(user::run(self.clone(), issue.slot));
        } else if let Some(waker) = slot.waker.take() {
            waker.wake();
        }
    }

    /// The next item of a user.
    pub(super) fn poll_issue(&self, slot: u32, cx: &Context<'_>) -> Poll<Issue> {
        let mut state = self.state.borrow_mut();
        let Some(slot) = state.users.get_mut(slot as usize) else { return Poll::Pending };
        if let Some(issue) = slot.issue.take() {
            return Poll::Ready(issue);
        }
        slot.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    /// Returns, as soon as the permit allows it, the present; for every request anew.
    pub(super) async fn permitted(&self) -> u64 {
        loop {
            let now = crate::clock::now_ns();
            if self.permits(now) {
                return now;
            }
            self.permitted.notified().await;
        }
    }

    /// Whether a request may leave at this instant.
    pub(super) fn permits(&self, now: u64) -> bool {
        self.permit.get().is_some_and(|permit| now < permit.until.as_nanos())
    }

    /// The instant of the clock at which an item was due, for open loops.
    pub(super) fn due(&self, issue: &Issue) -> Option<u64> {
        let open_loop =
            matches!(self.slice.workflow.executor, Executor::ConstantArrivalRate { .. });
        let permit = self.permit.get().filter(|_| open_loop)?;
        Some(clock_time(issue.due, &permit))
    }

    /// An item starts now.
    pub(super) fn on_started(&self, now: u64, due: Option<u64>) {
        if let Some(due) = due {
            self.state.borrow_mut().meter.on_started(now.saturating_sub(due));
        }
    }

    /// A request is about to be written, or must wait for a permit again.
    pub(super) fn on_request(&self, slot: u32, ordinal: Option<usize>) {
        if let Some(slot) = self.state.borrow_mut().users.get_mut(slot as usize) {
            slot.request = ordinal;
        }
    }

    /// A request ended.
    pub(super) fn on_exchange(
        &self,
        slot: u32,
        exchange: &Exchange,
        verdict: &Verdict,
        due: Option<u64>,
    ) {
        let mut state = self.state.borrow_mut();
        self.cut(&mut state, exchange.ended);
        let request = state.users.get_mut(slot as usize).and_then(|slot| slot.request.take());
        if let Some(ordinal) = request {
            let latency = due.map(|due| exchange.ended.saturating_sub(due));
            state.meter.on_exchange(ordinal, exchange, verdict, latency);
        }
    }

    /// An iteration reached the end of its flow; its user is free.
    pub(super) fn on_iteration(self: &Rc<Self>, slot: u32, started: u64, now: u64) {
        let mut state = self.state.borrow_mut();
        self.cut(&mut state, now);
        state.meter.on_iteration(now.saturating_sub(started));
        state.pacer.on_ended(slot);
        state.open -= 1;
        if let Some(slot) = state.users.get_mut(slot as usize) {
            slot.open = false;
        }
        let idle = state.open == 0;
        drop(state);
        let wake = self.pump(now).saturating_add(NAP_NS);
        if wake < self.armed.get() || idle && self.is_done() {
            self.attention.notify_one();
        }
    }

    /// Until the own task has something to look at.
    pub(super) async fn attention(&self) {
        self.attention.notified().await;
    }

    /// The own task sleeps until then.
    pub(super) fn arm(&self, at: u64) {
        self.armed.set(at);
    }

    /// The own task was to look at the clock at `due` and does so `now`.
    pub(super) fn on_woken(&self, due: u64, now: u64) {
        let lag = &mut self.state.borrow_mut().watch.lag;
        *lag = (*lag).max(now.saturating_sub(due));
    }

    /// Whether a first permit came.
    pub(super) fn is_permitted(&self) -> bool {
        self.permit.get().is_some()
    }

    /// Whether nothing will be issued any more.
    pub(super) fn is_done(&self) -> bool {
        self.state.borrow().phase == Phase::Done
    }

    /// Whether an item is open.
    pub(super) fn is_busy(&self) -> bool {
        self.state.borrow().open > 0
    }

    /// When open iterations are interrupted.
    pub(super) fn grace_ends(&self) -> u64 {
        let Some(permit) = self.permit.get() else { return u64::MAX };
        let ends = self.state.borrow().pacer.issuing_ends();
        clock_time(ends.after(self.slice.workflow.graceful_stop), &permit)
    }

    /// Reports the plan second that passed, if one did.
    pub(super) fn on_tick(&self, now: u64) {
        self.cut(&mut self.state.borrow_mut(), now);
    }

    /// Tells the node how far the run is.
    pub(super) fn report_progress(&self) {
        self.on_progress(&self.state.borrow());
    }

    fn on_progress(&self, state: &State) {
        let progress = state.pacer.progress();
        if progress != self.told.get()
            && self.tell(EngineEvent::Progressed { run: self.id, progress })
        {
            self.told.set(progress);
        }
    }

    /// Whether the node will hear it. A full queue loses nothing: the next report contains this
    /// one.
    fn tell(&self, event: EngineEvent) -> bool {
        self.events.try_send(Input::Engine(Box::new(event))).is_ok()
    }

    fn cut(&self, state: &mut State, now: u64) {
        if now < self.cut_at.get() {
            return;
        }
        let Some(permit) = self.permit.get() else { return };
        let second = plan_time(now, &permit).second();
        if second > state.second {
            let window = state.watch.look(now);
            state.meter.on_watched(second - state.second, window);
            state.second = second;
            let progress = state.pacer.progress();
            let totals = Box::new(state.meter.totals(progress.dropped));
            self.tell(EngineEvent::Reported { run: self.id, second, progress, totals });
        }
        self.cut_at.set(self.cut_after(state.second));
    }

    fn cut_after(&self, second: u32) -> u64 {
        let next = PlanTime::ZERO.after(std::time::Duration::from_secs(u64::from(second) + 1));
        self.permit.get().map_or(u64::MAX, |permit| clock_time(next, &permit))
    }

    /// Ends the run: interrupts what is open, closes every connection, gives the last event.
    pub(super) async fn end(&self, completed: bool) -> EngineEvent {
        let mut tasks = std::mem::take(&mut self.state.borrow_mut().tasks);
        tasks.shutdown().await;
        let mut state = self.state.borrow_mut();
        let State { users, meter, pacer, .. } = &mut *state;
        for slot in users.iter().filter(|slot| slot.open) {
            meter.on_interrupted(slot.request);
        }
        let progress = pacer.progress();
        let totals = Box::new(meter.totals(progress.dropped));
        EngineEvent::Ended { run: self.id, completed, progress, totals }
    }
}

fn batch(slice: &Slice) -> usize {
    const MILLI: u128 = 1_000_000;
    match slice.workflow.executor {
        Executor::ConstantArrivalRate { rate, .. } => {
            let span = rate.unit.as_nanos() * u128::from(slice.share.stripe.stride);
            let per_milli = u128::from(rate.count) * MILLI / span.max(1);
            usize::try_from(per_milli).unwrap_or(usize::MAX).saturating_add(1)
        }
        _ => usize::MAX,
    }
}

fn plan_time(now: u64, permit: &Permit) -> PlanTime {
    let since = i128::from(now) - i128::from(permit.zero.as_nanos());
    PlanTime::from_nanos(i64::try_from(since).unwrap_or(i64::MAX))
}

fn clock_time(at: PlanTime, permit: &Permit) -> u64 {
    let clock = i128::from(permit.zero.as_nanos()) + i128::from(at.as_nanos());
    u64::try_from(clock.max(0)).unwrap_or(u64::MAX)
}
