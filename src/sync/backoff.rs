//! Pauses of those who wait for what others commit to a file.

use std::time::{Duration, Instant};

/// The first pause; each next one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// The longest pause while something may come soon, because something has just come.
const MAX_RECENT_DELAY: Duration = Duration::from_millis(1);
/// How long that is so. A writer does not end the pauses meanwhile, but counts on their being short.
pub(crate) const RECENT_WINDOW: Duration = Duration::from_secs(1);
/// The longest pause, which counts where a writer cannot end it.
const MAX_DELAY: Duration = Duration::from_millis(20);

/// Pauses between looks at a file, short while there is news, and longer later.
#[derive(Debug)]
pub struct Backoff {
    pause: Duration,
    /// When there was news last.
    news: Instant,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE, news: Instant::now() }
    }
}

impl Backoff {
    /// How long to wait until the next look, or until a commit.
    pub fn next_delay(&mut self) -> Duration {
        let longest = if self.news.elapsed() < RECENT_WINDOW { MAX_RECENT_DELAY } else { MAX_DELAY };
        let pause = self.pause.min(longest);
        self.pause = pause + pause / 2;
        pause
    }

    /// Starts again with short pauses, since there is news.
    pub fn restart(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_short_after_news_and_grow_up_to_the_longest() {
        let mut waiter = Backoff::default();
        let mut tenth = || (0..10).map(|_| waiter.next_delay()).last();
        assert_eq!(tenth(), Some(MAX_RECENT_DELAY));
        waiter.news -= RECENT_WINDOW;
        let mut tenth = || (0..10).map(|_| waiter.next_delay()).last();
        assert_eq!(tenth(), Some(MAX_DELAY));
        waiter.restart();
        assert_eq!(waiter.next_delay(), FIRST_PAUSE);
    }
}
