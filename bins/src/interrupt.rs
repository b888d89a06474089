//! SIGINT and SIGTERM: the first asks, the second ends the process at once.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::exit::Exit;
use crate::failure::Failure;

/// Whether a signal came.
#[derive(Clone, Debug)]
pub(crate) struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from here on.
    ///
    /// # Errors
    /// When the system refuses a handler.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let handler = |kind| {
            signal(kind).map_err(|error| Failure::other(format!("no signal handler: {error}")))
        };
        let mut int = handler(SignalKind::interrupt())?;
        let mut term = handler(SignalKind::terminate())?;
        let (asked, seen) = watch::channel(false);
        tokio::spawn(async move {
            either(&mut int, &mut term).await;
            asked.send_replace(true);
            either(&mut int, &mut term).await;
            std::process::exit(Exit::Interrupted as i32);
        });
        Ok(Self(seen))
    }

    /// One that comes when the sender says so.
    #[cfg(test)]
    pub(crate) fn manual() -> (watch::Sender<bool>, Self) {
        let (asked, seen) = watch::channel(false);
        (asked, Self(seen))
    }

    /// Completes at the first signal, or at once if it has come.
    pub(crate) async fn asked(&self) {
        let mut seen = self.0.clone();
        if seen.wait_for(|asked| *asked).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

async fn either(int: &mut Signal, term: &mut Signal) {
    tokio::select! {
        _ = int.recv() => {}
        _ = term.recv() => {}
    }
}
