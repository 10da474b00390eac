//! Pauses of those who wait for what others write to a file.

use std::time::{Duration, Instant};

/// The first pause; each next one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// The longest pause while something may come soon, because something has just come.
const LONGEST_PAUSE_SOON: Duration = Duration::from_millis(1);
/// How long that is so.
const SOON: Duration = Duration::from_secs(1);
/// The longest pause.
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
    /// Waits until it is time for the next look, and `most` at most.
    pub fn wait(&mut self, most: Duration) {
        std::thread::sleep(self.pause.min(most));
        let longest = if self.news.elapsed() < SOON { LONGEST_PAUSE_SOON } else { LONGEST_PAUSE };
        self.pause = (self.pause + self.pause / 2).min(longest);
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
        for _ in 0..20 {
            waiter.wait(Duration::ZERO);
        }
        assert_eq!(waiter.pause, LONGEST_PAUSE_SOON);
        waiter.news -= SOON;
        for _ in 0..20 {
            waiter.wait(Duration::ZERO);
        }
        assert_eq!(waiter.pause, LONGEST_PAUSE);
        waiter.restart();
        assert_eq!(waiter.pause, FIRST_PAUSE);
    }
}
