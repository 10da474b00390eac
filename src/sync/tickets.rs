//! Commits that were started and that nobody has to wait for: how each of them ended, and an error that nobody knows yet.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::sync::{Arc, OnceLock};

/// How a started commit ended, once it has.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// How many changes the commit has in it, at least.
    goal: u64,
    outcome: OnceLock<std::result::Result<(), Arc<Error>>>,
}

impl Ticket {
    fn new(goal: u64) -> Arc<Self> {
        Arc::new(Self { goal, outcome: OnceLock::new() })
    }

    /// The ticket of a commit that has happened.
    pub(crate) fn done() -> Arc<Self> {
        let ticket = Self::new(0);
        ticket.settle(Ok(()));
        ticket
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.outcome.get().is_some()
    }

    fn settle(&self, outcome: std::result::Result<(), Arc<Error>>) {
        // Settled once: it leaves the queue with that.
        let _ = self.outcome.set(outcome);
    }
}

/// The commits that were started and have not ended, in order.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    queue: VecDeque<Arc<Ticket>>,
    /// The error of the last ones that failed, until somebody is told.
    untold: Option<Arc<Error>>,
}

impl Tickets {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Issues a ticket for the commit that has this many changes in it.
    pub(crate) fn issue(&mut self, goal: u64) -> Arc<Ticket> {
        let ticket = Ticket::new(goal);
        self.queue.push_back(Arc::clone(&ticket));
        ticket
    }

    /// The first `changes` changes are committed.
    pub(crate) fn succeed(&mut self, changes: u64) {
        let done = self.queue.partition_point(|ticket| ticket.goal <= changes);
        self.queue.drain(..done).for_each(|ticket| ticket.settle(Ok(())));
    }

    /// A commit has failed, and with it all that were started: none of them is tried without it.
    pub(crate) fn fail(&mut self, error: &Error, is_told: bool) {
        let error = Arc::new(error.again());
        for ticket in self.queue.drain(..) {
            ticket.settle(Err(Arc::clone(&error)));
            self.untold = (!is_told).then(|| Arc::clone(&error));
        }
    }

    /// Returns the error that nobody has been told, which from now on somebody has.
    pub(crate) fn tell(&mut self) -> Result<()> {
        self.untold.take().map_or(Ok(()), |error| Err(error.again()))
    }

    /// Returns the outcome of a ticket that has one, whose error counts as told.
    pub(crate) fn tell_outcome(&mut self, ticket: &Ticket) -> Option<Result<()>> {
        Some(ticket.outcome.get()?.clone().map_err(|error| {
            self.untold.take_if(|untold| Arc::ptr_eq(untold, &error));
            error.again()
        }))
    }
}
