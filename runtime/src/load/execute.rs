//! The life of a run on its thread: prepare, wait for permits, pace until done or stopped, end.

use std::future::pending;
use std::net::SocketAddr;
use std::rc::Rc;

use hyperscale_core::ids::RunId;
use hyperscale_core::input::{EngineEvent, Input, Progress};
use hyperscale_core::plan::{Slice, Step};
use tokio::sync::{mpsc, watch};

use super::alarm::Alarm;
use super::deadline::TICK_NS;
use super::engine::{Control, Fuse, Start};
use super::flow::Flow;
use super::meter::Meter;
use super::run::{NAP_NS, Prepared, Run};
use super::target::Target;
use crate::clock::now_ns;

/// How often the node hears how far a run is.
const PROGRESS_NS: u64 = 100_000_000;

/// Why a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Completed,
    Stopped,
    /// Nobody is interested any more.
    Abandoned,
}

/// Executes one run from `Start` to `Ended`.
pub(super) async fn run(start: Start, events: mpsc::Sender<Input>) {
    let _fuse = Fuse;
    let Start { run: id, slice, demo, mut control } = start;
    let requests = slice.workflow.flow.iter().filter(|s| matches!(s, Step::Request(_))).count();
    let prepared = tokio::select! {
        biased;
        end = stopped(&mut control) => Err(end),
        prepared = prepare(id, slice, demo, events.clone()) => Ok(prepared),
    };
    let event = match prepared {
        Err(End::Abandoned) => return,
        Err(_) => never_started(id, requests),
        Ok(Err(reason)) => EngineEvent::PrepareFailed { run: id, reason },
        Ok(Ok((run, alarm))) => {
            tell(&events, EngineEvent::Prepared { run: id }).await;
            let end = pace(&run, &mut control, alarm).await;
            let event = run.end(end == End::Completed).await;
            if end == End::Abandoned {
                return;
            }
            event
        }
    };
    tell(&events, event).await;
}

async fn tell(events: &mpsc::Sender<Input>, event: EngineEvent) {
    // A closed queue belongs to a node that is gone.
    drop(events.send(Input::Engine(Box::new(event))).await);
}

async fn stopped(control: &mut watch::Receiver<Control>) -> End {
    match control.wait_for(|control| control.stop).await {
        Ok(_) => End::Stopped,
        Err(_) => End::Abandoned,
    }
}

fn never_started(run: RunId, requests: usize) -> EngineEvent {
    let totals = Box::new(Meter::new(requests).totals(0));
    EngineEvent::Ended { run, completed: false, progress: Progress::default(), totals }
}

async fn prepare(
    id: RunId,
    slice: Slice,
    demo: Option<SocketAddr>,
    events: mpsc::Sender<Input>,
) -> Result<(Rc<Run>, Alarm), String> {
    let base_url = demo.map_or_else(|| slice.base_url.clone(), |shop| format!("http://{shop}"));
    let target = Target::parse(&base_url).map_err(|error| error.to_string())?;
    let flow = Flow::compile(&slice, &target).map_err(|error| error.to_string())?;
    let addresses = target.resolve().await.map_err(|error| error.to_string())?.into();
    let alarm = Alarm::new().map_err(|error| error.to_string())?;
    Ok((Run::new(Prepared { id, slice, flow, addresses, events }), alarm))
}

/// Paces a run until it is done or stopped.
async fn pace(run: &Rc<Run>, control: &mut watch::Receiver<Control>, mut alarm: Alarm) -> End {
    let mut next_progress = 0;
    let mut next_tick = 0;
    control.mark_changed();
    loop {
        let now = now_ns();
        if now >= next_tick {
            next_tick = now + TICK_NS;
            run.shared.deadlines.expire(now);
            run.on_tick(now);
        }
        let mut wake = run.pump(now);
        if wake <= now {
            // A batch is out: let it leave before the clock is looked at again.
            tokio::task::yield_now().await;
            if control.has_changed().unwrap_or(true)
                && let Err(end) = obey(run, control)
            {
                return end;
            }
            continue;
        }
        if now >= next_progress && run.is_permitted() {
            next_progress = now + PROGRESS_NS;
            run.report_progress();
        }
        if run.is_done() {
            if !run.is_busy() || now >= run.grace_ends() {
                return End::Completed;
            }
            wake = wake.min(run.grace_ends());
        }
        wake = wake.min(next_tick).max(now + NAP_NS);
        run.arm(wake);
        tokio::select! {
            biased;
            _ = control.changed() => {
                if let Err(end) = obey(run, control) {
                    return end;
                }
            }
            () = run.attention() => {}
            () = rung(&mut alarm, wake) => run.on_woken(wake, now_ns()),
        }
    }
}

/// Takes over the newest orders, or says that the run is over.
fn obey(run: &Rc<Run>, control: &mut watch::Receiver<Control>) -> Result<(), End> {
    if control.has_changed().is_err() {
        return Err(End::Abandoned);
    }
    let Control { permit, stop } = *control.borrow_and_update();
    if stop {
        return Err(End::Stopped);
    }
    permit.into_iter().for_each(|permit| run.on_permit(permit));
    Ok(())
}

async fn rung(alarm: &mut Alarm, at: u64) {
    if let Err(error) = alarm.reached(at).await {
        tracing::error!(%error, "the timer of a run failed");
        pending::<()>().await;
    }
}
