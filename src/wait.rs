//! Pauses of those who wait for what others commit to a file.

use std::time::{Duration, Instant};

use crate::capture_file::CaptureFile;

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
    /// Waits until it is time to look for a commit that `file`, an object for reading, does not show yet; for
    /// `most` at most.
    pub fn wait(&mut self, file: &CaptureFile, most: Duration) {
        file.wait_for_commit(self.next_pause().min(most));
    }

    fn next_pause(&mut self) -> Duration {
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
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;
    use crate::OpenOptions;

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

    #[test]
    #[cfg(target_os = "linux")]
    fn a_commit_ends_the_longest_wait_for_it() {
        const FAR_TOO_LONG: Duration = Duration::from_secs(60);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.capture");
        for commits in 0..3 {
            let writer = OpenOptions::new().write(true).open(&path).unwrap();
            for _ in 0..commits {
                writer.add_record(b"before").unwrap();
                writer.commit().unwrap();
            }
            // As long as a writer takes before it ends pauses again.
            std::thread::sleep(SOON / 2);
            let reader = CaptureFile::open(&path).unwrap();
            let began = Instant::now();
            std::thread::scope(|scope| {
                scope.spawn(|| reader.wait_for_commit(FAR_TOO_LONG));
                std::thread::sleep(Duration::from_millis(50));
                writer.add_record(b"news").unwrap();
                writer.commit().unwrap();
            });
            // What was committed since it looked is news at once.
            reader.wait_for_commit(FAR_TOO_LONG);
            assert!(began.elapsed() < FAR_TOO_LONG);
            assert!(reader.refresh(false).unwrap());
            drop(writer);
            std::fs::remove_file(&path).unwrap();
        }
    }
}
