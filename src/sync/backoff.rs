//! Pauses of those who wait for what others commit to a file.

use std::time::{Duration, Instant};

/// The first pause; each next one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// The longest pause while something may come soon, because something has just come.
const LONGEST_PAUSE_SOON: Duration = Duration::from_millis(1);
/// How long that is so. A writer does not end the pauses meanwhile, but counts on their being short.
pub(crate) const SOON: Duration = Duration::from_secs(1);
/// The longest pause, which counts where a writer cannot end it.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Pauses between looks at a file, short while there is news, and longer later.
#[derive(Debug)]
pub struct Waiter {
    pause: Duration,
    /// When there was news last.
    news: Instant,
}

impl Default for Waiter {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE, news: Instant::now() }
    }
}

impl Waiter {
    /// How long to wait until the next look, or until a commit.
    pub fn next_pause(&mut self) -> Duration {
        let longest = if self.news.elapsed() < SOON { LONGEST_PAUSE_SOON } else { LONGEST_PAUSE };
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
        let mut waiter = Waiter::default();
        let mut tenth = || (0..10).map(|_| waiter.next_pause()).last();
        assert_eq!(tenth(), Some(LONGEST_PAUSE_SOON));
        waiter.news -= SOON;
        let mut tenth = || (0..10).map(|_| waiter.next_pause()).last();
        assert_eq!(tenth(), Some(LONGEST_PAUSE));
        waiter.restart();
        assert_eq!(waiter.next_pause(), FIRST_PAUSE);
    }
}
