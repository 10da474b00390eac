//! A file's header, its slots or heads and the path down its index, for the viewer.

use std::path::PathBuf;

use pyo3::prelude::*;

use super::errors::found_and_expected;
use crate::{Coordinates, HeadSlot, HeaderChecksum, IndexStep, LogExtent, MasterSlot, Structure as Core};

/// The header and slots or heads of a file as they are, damaged or not, and the paths through its index.
#[pyclass(frozen, name = "_Structure", module = "capturefile._capturefile")]
pub(super) struct Structure(Core);

/// The fields of a file's header.
#[pyclass(frozen, get_all, name = "_Header", module = "capturefile._capturefile")]
pub(super) struct Header {
    magic: String,
    version: u32,
    page_size: u32,
    block_size: u32,
    fan_out: u32,
    checksum: &'static str,
}

/// The fields of a master slot.
#[pyclass(frozen, get_all, name = "_MasterSlot", module = "capturefile._capturefile")]
pub(super) struct Slot {
    position: u64,
    serial: u32,
    stored: u32,
    computed: u32,
    file_limit: u64,
    pending_bytes: u32,
    metadata: Option<(u64, u32)>,
    levels: Vec<u32>,
    record_count: u64,
    problem: Option<String>,
    is_current: bool,
}

/// The fields of a head of a file in format 3.
#[pyclass(frozen, get_all, name = "_HeadSlot", module = "capturefile._capturefile")]
pub(super) struct Head {
    position: u64,
    serial: u64,
    begin: u64,
    sure: u64,
    file_limit: u64,
    record_count: u64,
    metadata: Option<u64>,
    levels: Vec<u32>,
    problem: Option<String>,
    is_current: bool,
}

/// The extent of the log of a file in format 3.
#[pyclass(frozen, get_all, name = "_LogExtent", module = "capturefile._capturefile")]
pub(super) struct Log {
    size: u64,
    begin: u64,
    end: u64,
    entries: u64,
    record_count: u64,
}

/// A node on the path to a record, or the block or entry that holds it, with height 0 and no numbers of a node.
#[pyclass(frozen, get_all, name = "_Step", module = "capturefile._capturefile")]
pub(super) struct Step {
    kind: &'static str,
    height: u32,
    children: u64,
    below: u64,
    first: u64,
    /// In format 3, the number of the last record of each child.
    lasts: Vec<u64>,
    chosen: Option<u64>,
    at: Option<(u64, u32)>,
    is_pending: bool,
}

#[pymethods]
impl Structure {
    #[new]
    #[pyo3(signature = (path, /))]
    fn new(py: Python<'_>, path: PathBuf) -> PyResult<Self> {
        Ok(Self(py.detach(|| Core::read(path))?))
    }

    #[getter]
    fn file_size(&self) -> u64 {
        self.0.file_size
    }

    #[getter]
    fn header(&self) -> Option<Header> {
        self.0.header.as_ref().map(Header::from)
    }

    #[getter]
    fn slots(&self) -> Vec<Slot> {
        self.0.slots.iter().map(Slot::from).collect()
    }

    #[getter]
    fn heads(&self) -> Vec<Head> {
        self.0.heads.iter().map(Head::from).collect()
    }

    #[getter]
    fn log(&self) -> Option<Log> {
        self.0.log.as_ref().map(Log::from)
    }

    #[getter]
    fn damage(&self) -> Option<String> {
        self.0.damage().map(found_and_expected)
    }

    #[getter]
    fn last_commit(&self) -> Option<u64> {
        self.0.last_commit()
    }

    /// Descends the index to a record; returns the nodes on the path, and the error that ended it early, if any.
    #[pyo3(signature = (number, /))]
    fn path_to(&self, py: Python<'_>, number: u64) -> (Vec<Step>, Option<PyErr>) {
        let path = py.detach(|| self.0.path_to(number));
        (path.steps.iter().map(Step::from).collect(), path.error.map(PyErr::from))
    }
}

impl From<&crate::Header> for Header {
    fn from(header: &crate::Header) -> Self {
        let crate::Geometry { version, page_size, block_size, fan_out, .. } = header.geometry;
        let checksum = match header.checksum {
            HeaderChecksum::Right => "right",
            HeaderChecksum::Wrong => "wrong",
            HeaderChecksum::Missing => "none",
        };
        Self { magic: header.magic.clone(), version, page_size, block_size, fan_out, checksum }
    }
}

impl From<&MasterSlot> for Slot {
    fn from(slot: &MasterSlot) -> Self {
        Self {
            position: slot.position,
            serial: slot.serial_number,
            stored: slot.stored,
            computed: slot.computed,
            file_limit: slot.file_limit,
            pending_bytes: slot.pending_bytes,
            metadata: slot.metadata.map(pair),
            levels: slot.levels.clone(),
            record_count: slot.record_count,
            problem: slot.problem.as_ref().map(found_and_expected),
            is_current: slot.is_current,
        }
    }
}

impl From<&HeadSlot> for Head {
    fn from(head: &HeadSlot) -> Self {
        Self {
            position: head.position,
            serial: head.serial_number,
            begin: head.begin,
            sure: head.sure,
            file_limit: head.file_limit,
            record_count: head.record_count,
            metadata: head.metadata,
            levels: head.levels.clone(),
            problem: head.problem.as_ref().map(found_and_expected),
            is_current: head.is_current,
        }
    }
}

impl From<&LogExtent> for Log {
    fn from(log: &LogExtent) -> Self {
        let LogExtent { size, begin, end, entries, record_count, .. } = *log;
        Self { size, begin, end, entries, record_count }
    }
}

impl From<&IndexStep> for Step {
    fn from(step: &IndexStep) -> Self {
        let none = Self {
            kind: "node",
            height: 0,
            children: 0,
            below: 0,
            first: 0,
            lasts: Vec::new(),
            chosen: None,
            at: None,
            is_pending: false,
        };
        match *step {
            IndexStep::Node { height, children, below, first, chosen, at, .. } => {
                Self { height, children, below, first, chosen, at: at.map(pair), ..none }
            }
            IndexStep::Record { at, is_pending, .. } => {
                Self { kind: "record", at: Some(pair(at)), is_pending, ..none }
            }
            IndexStep::BlockNode { height, first, ref lasts, chosen, position, .. } => Self {
                height,
                children: lasts.len() as u64,
                first,
                lasts: lasts.clone(),
                chosen: chosen.map(|chosen| chosen as u64),
                at: position.map(|position| (position, 0)),
                ..none
            },
            IndexStep::Block { position, first, .. } => {
                Self { kind: "block", first, at: Some((position, 0)), ..none }
            }
            IndexStep::Entry { position, first, .. } => {
                Self { kind: "entry", first, at: Some((position, 0)), is_pending: true, ..none }
            }
        }
    }
}

fn pair(at: Coordinates) -> (u64, u32) {
    (at.frame, at.offset)
}
