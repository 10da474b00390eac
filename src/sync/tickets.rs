//! Started commits: the outcome of each, and an error that has not been reported yet.

use std::collections::VecDeque;

use crate::error::{Error, Result};
use crate::sync::{Arc, OnceLock};

/// A started commit, with its outcome once it has ended.
#[derive(Debug)]
pub(crate) struct Ticket {
    /// Minimum number of changes that the commit contains.
    goal: u64,
    outcome: OnceLock<std::result::Result<(), Arc<Error>>>,
}

impl Ticket {
    fn new(goal: u64) -> Arc<Self> {
        Arc::new(Self { goal, outcome: OnceLock::new() })
    }

    /// Creates the ticket of a commit that is already done.
    pub(crate) fn done() -> Arc<Self> {
        let ticket = Self::new(0);
        ticket.settle(Ok(()));
        ticket
    }

    pub(crate) fn is_settled(&self) -> bool {
        self.outcome.get().is_some()
    }

    fn settle(&self, outcome: std::result::Result<(), Arc<Error>>) {
        // Each ticket is settled once, because it then leaves the queue.
        let _ = self.outcome.set(outcome);
    }
}

/// The started commits that have not ended, in order.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    queue: VecDeque<Arc<Ticket>>,
    /// The error of the last commits that failed, until it is reported.
    untold: Option<Arc<Error>>,
}

impl Tickets {
    pub(crate) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Issues a ticket for the commit that contains this many changes.
    pub(crate) fn issue(&mut self, goal: u64) -> Arc<Ticket> {
        let ticket = Ticket::new(goal);
        self.queue.push_back(Arc::clone(&ticket));
        ticket
    }

    /// Settles the tickets of commits up to the first `changes` changes as done.
    pub(crate) fn succeed(&mut self, changes: u64) {
        let done = self.queue.partition_point(|ticket| ticket.goal <= changes);
        self.queue.drain(..done).for_each(|ticket| ticket.settle(Ok(())));
    }

    /// Settles all tickets as failed: after a failed commit, none of the later ones is tried.
    pub(crate) fn fail(&mut self, error: &Error, is_told: bool) {
        let error = Arc::new(error.again());
        for ticket in self.queue.drain(..) {
            ticket.settle(Err(Arc::clone(&error)));
            self.untold = (!is_told).then(|| Arc::clone(&error));
        }
    }

    /// Returns the unreported error, which then counts as reported.
    pub(crate) fn tell(&mut self) -> Result<()> {
        self.untold.take().map_or(Ok(()), |error| Err(error.again()))
    }

    /// Returns the outcome of a ticket if it has one; an error then counts as reported.
    pub(crate) fn tell_outcome(&mut self, ticket: &Ticket) -> Option<Result<()>> {
        Some(ticket.outcome.get()?.clone().map_err(|error| {
            self.untold.take_if(|untold| Arc::ptr_eq(untold, &error));
            error.again()
        }))
    }
}
