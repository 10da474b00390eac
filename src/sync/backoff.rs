//! Pauses between checks of a file while waiting for commits of others.

use std::time::{Duration, Instant};

/// The first pause; each following one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// Maximum pause in the time after a commit, when further ones are likely.
const MAX_RECENT_DELAY: Duration = Duration::from_millis(1);
/// Length of that time, during which a writer does not wake waiters because their pauses are short.
pub(crate) const RECENT_WINDOW: Duration = Duration::from_secs(1);
/// Maximum pause, for systems on which a writer cannot end it.
const MAX_DELAY: Duration = Duration::from_millis(20);

/// The pauses of a waiting thread, which start short after each commit.
#[derive(Debug)]
pub(crate) struct Backoff {
    pause: Duration,
    began: Instant,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE, began: Instant::now() }
    }
}

impl Backoff {
    /// Returns the time to wait for a commit until the next check.
    pub(crate) fn next_delay(&mut self) -> Duration {
        let longest = if self.began.elapsed() < RECENT_WINDOW { MAX_RECENT_DELAY } else { MAX_DELAY };
        let pause = self.pause.min(longest);
        self.pause = pause + pause / 2;
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_short_after_news_and_grow_up_to_the_longest() {
        let mut waiter = Backoff::default();
        assert_eq!(waiter.next_delay(), FIRST_PAUSE);
        let mut tenth = || (0..10).map(|_| waiter.next_delay()).last();
        assert_eq!(tenth(), Some(MAX_RECENT_DELAY));
        waiter.began -= RECENT_WINDOW;
        let mut tenth = || (0..10).map(|_| waiter.next_delay()).last();
        assert_eq!(tenth(), Some(MAX_DELAY));
    }
}
