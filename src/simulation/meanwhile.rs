//! Work of another thread while a commit waits for the disk. It is done as part of the disk's syncs, and therefore at
//! the same moments in each run.

use std::cell::RefCell;

thread_local! {
    static WORK: RefCell<Option<Box<dyn FnMut()>>> = const { RefCell::new(None) };
}

/// Does `work` before and after each sync that `commit` makes.
pub(crate) fn meanwhile<T>(work: impl FnMut() + 'static, commit: impl FnOnce() -> T) -> T {
    WORK.set(Some(Box::new(work)));
    let committed = commit();
    WORK.set(None);
    committed
}

/// Lets the other thread work, unless this is it.
pub(super) fn let_others_work() {
    if let Some(mut work) = WORK.take() {
        work();
        WORK.set(Some(work));
    }
}
