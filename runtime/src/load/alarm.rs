//! A timer on the clock that permits are written in, with its resolution: the runtime's own timers
//! count in milliseconds, too coarse for the arrivals of an open loop.

use crate::clock::ORIGIN_NS;
use std::io;
use std::os::fd::AsFd as _;

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// One timer of one task.
#[derive(Debug)]
pub(super) struct Alarm {
    /// Not a pipe, but read like one: the one type that waits for any readable descriptor it owns
    /// and needs no `unsafe`.
    timer: Receiver,
    set: u64,
}

impl Alarm {
    /// A timer that is not set. Needs a running executor.
    ///
    /// # Errors
    /// No file descriptor is left.
    pub(super) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Boottime, flags)?;
        let timer = Receiver::from_owned_fd_unchecked(timer)?;
        Ok(Self { timer, set: 0 })
    }

    /// Returns when the clock reads `at` nanoseconds, or sooner. May be dropped before.
    ///
    /// # Errors
    /// The system's.
    pub(super) async fn reached(&mut self, at: u64) -> io::Result<()> {
        const SECOND: u64 = 1_000_000_000;
        if self.set != at {
            // The kernel counts from the start of the machine; zero would switch the timer off.
            let due = at.saturating_sub(ORIGIN_NS).max(1);
            let it_value =
                Timespec { tv_sec: (due / SECOND) as i64, tv_nsec: (due % SECOND) as i64 };
            let it_interval = Timespec { tv_sec: 0, tv_nsec: 0 };
            let spec = Itimerspec { it_interval, it_value };
            timerfd_settime(self.timer.as_fd(), TimerfdTimerFlags::ABSTIME, &spec)?;
            self.set = at;
        }
        self.timer.readable().await?;
        match self.timer.try_read(&mut [0; 8]) {
            Ok(_) => self.set = 0,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::now_ns;

    #[tokio::test]
    async fn rings_when_it_is_due_and_again() {
        let mut alarm = Alarm::new().unwrap();
        for wait in [2_000_000, 300_000, 0] {
            let due = now_ns() + wait;
            while now_ns() < due {
                alarm.reached(due).await.unwrap();
            }
            alarm.reached(due).await.unwrap();
            assert!(now_ns() >= due);
        }
    }
}
