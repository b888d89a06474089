//! What the load engine tells. It is part of this process: its word is taken, but only about runs
//! that it has.

use crate::input::EngineEvent;
use crate::machine::Cx;
use crate::stat::Stat;
use crate::worker::models::Ending;
use crate::worker::{Worker, execution, sync};

impl Worker {
    pub(in crate::worker) fn on_engine(&mut self, cx: &mut Cx<'_>, event: EngineEvent) {
        let input = match event {
            EngineEvent::Prepared { run } => execution::Input::Ready(run),
            EngineEvent::PrepareFailed { run, reason } => execution::Input::Broken { run, reason },
            EngineEvent::Progressed { run, progress } => {
                execution::Input::Progressed { run, progress }
            }
            EngineEvent::Ended { run, completed, progress, totals } => {
                execution::Input::Ended(Ending { run, completed, progress, totals })
            }
            EngineEvent::Reported { run, second, progress, totals } => {
                if self.execution.is_live(run) {
                    let every = self.backpressure.level(cx.now()).report_every();
                    self.sync(cx, sync::Input::Reported { run, second, every, progress, totals });
                } else {
                    cx.count(Stat::ReportStale);
                }
                return;
            }
        };
        self.execute(cx, input);
    }
}
