//! Waiting for what others write to a file: short pauses at first, then until the system reports a write.

use std::fs::File;
use std::time::Duration;

use self::reports::Reports;
use crate::capture_file::CaptureFile;
use crate::lock::forks;

/// The first pause; each next one is half as long again.
const FIRST_PAUSE: Duration = Duration::from_micros(200);
/// When pauses have become so long, the system is asked to report writes.
const LONGEST_BLIND_PAUSE: Duration = Duration::from_millis(1);
/// The longest pause, for systems and file systems that report nothing, such as those of other machines.
const LONGEST_PAUSE: Duration = Duration::from_millis(20);

/// Pauses between looks at a file, as short as they need to be and as long as they may.
#[derive(Debug)]
pub struct Waiter {
    pause: Duration,
    /// `None` until it is worth the trouble.
    watch: Option<Watch>,
}

impl Default for Waiter {
    fn default() -> Self {
        Self { pause: FIRST_PAUSE, watch: None }
    }
}

impl Waiter {
    /// Waits until something may have been written to `file`, and `most` at most.
    pub fn wait(&mut self, file: &CaptureFile, most: Duration) {
        if self.pause > LONGEST_BLIND_PAUSE && self.watch.as_ref().is_none_or(Watch::is_inherited) {
            self.watch = Some(file.watch());
            // What was written just before is not reported.
            return;
        }
        let pause = self.pause.min(most);
        match &self.watch {
            Some(watch) => watch.wait(pause),
            None => std::thread::sleep(pause),
        }
        self.pause = (self.pause + self.pause / 2).min(LONGEST_PAUSE);
    }

    /// Starts again with short pauses, since something was written.
    pub fn restart(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}

/// The system's reports of writes to one file.
#[derive(Debug)]
pub(crate) struct Watch {
    /// `None` where there are no reports.
    reports: Option<Reports>,
    forks: u64,
}

impl Watch {
    pub(crate) fn nothing() -> Self {
        Self { reports: None, forks: forks() }
    }

    /// Watches an open file, whatever has become of its name.
    pub(crate) fn file(file: &File) -> Self {
        // A user may have too many watches already, or the system none.
        Self { reports: Reports::of(file).ok(), forks: forks() }
    }

    /// Whether a forked child has it from its parent, and would take away its reports.
    fn is_inherited(&self) -> bool {
        self.forks != forks()
    }

    fn wait(&self, most: Duration) {
        match &self.reports {
            Some(reports) => reports.wait(most),
            None => std::thread::sleep(most),
        }
    }
}

/// Linux reports writes by inotify.
#[cfg(target_os = "linux")]
mod reports {
    use std::fs::File;
    use std::io;
    use std::os::fd::{AsFd, AsRawFd};
    use std::time::Duration;

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

    #[derive(Debug)]
    pub(super) struct Reports(Inotify);

    impl Reports {
        pub(super) fn of(file: &File) -> io::Result<Self> {
            let reports = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
            let name = format!("/proc/self/fd/{}", file.as_raw_fd());
            reports.add_watch(name.as_str(), AddWatchFlags::IN_MODIFY)?;
            Ok(Self(reports))
        }

        pub(super) fn wait(&self, most: Duration) {
            let timeout = PollTimeout::try_from(most).unwrap_or(PollTimeout::ZERO);
            let mut files = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
            // A signal ends the wait like a report; so does an error, after a pause.
            match poll(&mut files, timeout) {
                Ok(0) | Err(nix::Error::EINTR) => {}
                Ok(_) => while self.0.read_events().is_ok_and(|events| !events.is_empty()) {},
                Err(_) => std::thread::sleep(most),
            }
        }
    }
}

/// Other systems are asked by pauses alone.
#[cfg(not(target_os = "linux"))]
mod reports {
    use std::fs::File;
    use std::io;
    use std::time::Duration;

    #[derive(Debug)]
    pub(super) enum Reports {}

    impl Reports {
        pub(super) fn of(_: &File) -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(super) fn wait(&self, _: Duration) {
            match *self {}
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "a test fails by panicking")]
mod tests {
    use std::time::Instant;

    use super::*;

    /// Longer than anything here takes on a busy machine.
    const PATIENCE: Duration = Duration::from_secs(60);

    #[cfg(target_os = "linux")]
    #[test]
    fn a_write_by_whoever_ends_the_wait_also_when_the_file_has_another_name_by_then() {
        use std::fs;
        use std::io::Write;

        let folder = tempfile::tempdir().unwrap();
        let (path, other) = (folder.path().join("a"), folder.path().join("b"));
        fs::write(&path, "1").unwrap();
        let file = File::open(&path).unwrap();
        fs::rename(&path, &other).unwrap();
        let watch = Watch::file(&file);
        for _ in 0..3 {
            let writing = std::thread::spawn({
                let other = other.clone();
                move || {
                    std::thread::sleep(Duration::from_millis(20));
                    fs::OpenOptions::new().append(true).open(other).unwrap().write_all(b"2").unwrap();
                }
            });
            let start = Instant::now();
            watch.wait(PATIENCE);
            assert!(start.elapsed() < PATIENCE / 2);
            writing.join().unwrap();
        }
    }

    #[test]
    fn without_a_write_or_without_reports_the_wait_ends_in_time() {
        let file = tempfile::tempfile().unwrap();
        for watch in [Watch::file(&file), Watch::nothing()] {
            let start = Instant::now();
            watch.wait(Duration::from_millis(30));
            let waited = start.elapsed();
            assert!(waited >= Duration::from_millis(29) && waited < PATIENCE, "{waited:?}");
        }
    }
}
