//! The C structures of the Arrow C data and stream interfaces, as a producer of two columns fills them.
//!
//! A consumer that takes a structure over copies its bytes, empties `release` of the original, and calls that
//! of the copy once, from any thread. A structure that no consumer takes over is released when it is dropped.
//! Children can be taken over separately and outlive their parent.

#![expect(unsafe_code, reason = "the interfaces of C consist of pointers to functions and to memory")]

use std::ffi::{CStr, c_char, c_int, c_void};
use std::ptr::{null, null_mut};

use crate::RecordRun;

/// The function that frees everything a structure owns, and knows the type of its `private_data`.
type Release<T> = unsafe extern "C" fn(*mut T);

/// Number of columns.
const COLUMNS: usize = 2;

/// A type with a name.
#[repr(C)]
pub(super) struct ArrowSchema {
    format: *const c_char,
    name: *const c_char,
    metadata: *const c_char,
    flags: i64,
    child_count: i64,
    children: *mut *mut ArrowSchema,
    dictionary: *mut ArrowSchema,
    release: Option<Release<ArrowSchema>>,
    private_data: *mut c_void,
}

impl ArrowSchema {
    /// Creates the schema of a column without nulls.
    pub(super) fn column(name: &'static CStr, format: &'static CStr) -> Self {
        Self {
            format: format.as_ptr(),
            name: name.as_ptr(),
            metadata: null(),
            flags: 0,
            child_count: 0,
            children: null_mut(),
            dictionary: null_mut(),
            release: Some(release_schema),
            private_data: null_mut(),
        }
    }

    /// Creates the schema of a table of these columns.
    pub(super) fn table(columns: [Self; COLUMNS]) -> Self {
        let children = boxed(columns);
        let mut table = Self::column(c"", c"+s");
        table.child_count = signed(COLUMNS);
        table.children = children.cast();
        table.private_data = children.cast();
        table
    }

    /// Returns the format; `None` for a released schema.
    pub(super) fn format(&self) -> Option<&CStr> {
        self.release?;
        // SAFETY: a schema that is not released has a format, which ends in a zero byte and lives as long as
        // the schema.
        (!self.format.is_null()).then(|| unsafe { CStr::from_ptr(self.format) })
    }

    /// Returns the name of a column, if it has one; `None` for a released schema.
    pub(super) fn name(&self) -> Option<&CStr> {
        self.release?;
        // SAFETY: a name that is there ends in a zero byte and lives as long as the schema.
        (!self.name.is_null()).then(|| unsafe { CStr::from_ptr(self.name) })
    }

    /// Returns the columns; none for a released schema.
    pub(super) fn children(&self) -> impl Iterator<Item = &Self> {
        let is_none = self.release.is_none() || self.children.is_null();
        let count = if is_none { 0 } else { usize::try_from(self.child_count).unwrap_or(0) };
        // SAFETY: there are this many pointers to children, which live as long as their parent.
        (0..count).filter_map(|index| unsafe { (*self.children.add(index)).as_ref() })
    }

    /// Returns the value type of a dictionary-encoded column; `None` for other columns and a released schema.
    pub(super) fn dictionary(&self) -> Option<&Self> {
        self.release?;
        // SAFETY: it lives as long as its parent.
        unsafe { self.dictionary.as_ref() }
    }
}

// SAFETY: everything that it points to belongs to it, or never changes.
unsafe impl Send for ArrowSchema {}

impl Drop for ArrowSchema {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it is not released yet, and has no other owner.
            unsafe { release(self) }
        }
    }
}

unsafe extern "C" fn release_schema(schema: *mut ArrowSchema) {
    // SAFETY: the caller has a schema that was created here, perhaps a copy of its bytes, and calls this once.
    let schema = unsafe { &mut *schema };
    // SAFETY: the children of such a schema, if any, are those of `table`.
    unsafe { drop_boxed(schema.private_data.cast::<[*mut ArrowSchema; COLUMNS]>()) };
    schema.release = None;
}

/// Values, or a batch of columns.
#[repr(C)]
pub(super) struct ArrowArray {
    length: i64,
    null_count: i64,
    offset: i64,
    buffer_count: i64,
    child_count: i64,
    buffers: *const *const c_void,
    children: *mut *mut ArrowArray,
    dictionary: *mut ArrowArray,
    release: Option<Release<ArrowArray>>,
    private_data: *mut c_void,
}

/// The buffers of a column, the first of which would be the validity bitmap, and the memory that they are in.
struct Memory<T, const N: usize> {
    buffers: [*const c_void; N],
    _owner: T,
}

/// The only buffer of a batch, which would be the validity bitmap.
static NOTHING_IS_NULL: [Option<&u8>; 1] = [None];

impl ArrowArray {
    /// Creates a column of numbers.
    pub(super) fn numbers(values: Vec<i64>) -> Self {
        Self::column(values.len(), [null(), values.as_ptr().cast()], values)
    }

    /// Creates a column of byte strings or text. `offsets` contains where each starts in `bytes`, and finally
    /// where the last one ends.
    pub(super) fn strings(bytes: Vec<u8>, offsets: Vec<i32>) -> Self {
        let buffers = [null(), offsets.as_ptr().cast(), bytes.as_ptr().cast()];
        Self::column(offsets.len() - 1, buffers, (bytes, offsets))
    }

    /// Creates a column of the first byte strings or texts of a run, without copying their bytes.
    pub(super) fn shared_strings(run: RecordRun, offsets: Vec<i32>) -> Self {
        let buffers = [null(), offsets.as_ptr().cast(), run.bytes().as_ptr().cast()];
        Self::column(offsets.len() - 1, buffers, (run, offsets))
    }

    /// Creates a batch of two columns of this length.
    pub(super) fn batch(length: usize, columns: [Self; COLUMNS]) -> Self {
        let children = boxed(columns);
        let mut batch =
            Self::new(length, 1, (&raw const NOTHING_IS_NULL).cast(), release_batch, children.cast());
        batch.child_count = signed(COLUMNS);
        batch.children = children.cast();
        batch
    }

    /// Creates a column of values in buffers that `owner` keeps in place, even if it is moved itself.
    fn column<T: Send, const N: usize>(length: usize, buffers: [*const c_void; N], owner: T) -> Self {
        let memory = Box::into_raw(Box::new(Memory { buffers, _owner: owner }));
        // SAFETY: the pointer is to a box that has just been created.
        let buffers = unsafe { &raw const (*memory).buffers };
        Self::new(length, N, buffers.cast(), release_column::<T, N>, memory.cast())
    }

    fn new(
        length: usize,
        buffer_count: usize,
        buffers: *const *const c_void,
        release: Release<Self>,
        private_data: *mut c_void,
    ) -> Self {
        Self {
            length: signed(length),
            null_count: 0,
            offset: 0,
            buffer_count: signed(buffer_count),
            child_count: 0,
            buffers,
            children: null_mut(),
            dictionary: null_mut(),
            release: Some(release),
            private_data,
        }
    }

    /// Creates the end-of-stream marker after the last batch.
    fn end() -> Self {
        let mut end = Self::new(0, 0, null(), release_batch, null_mut());
        end.release = None;
        end
    }
}

impl Drop for ArrowArray {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it is not released yet, and has no other owner.
            unsafe { release(self) }
        }
    }
}

unsafe extern "C" fn release_column<T, const N: usize>(array: *mut ArrowArray) {
    // SAFETY: the caller has an array created by `column` with this type of owner, and calls this once.
    let array = unsafe { &mut *array };
    // SAFETY: as above; the box was created there.
    drop(unsafe { Box::from_raw(array.private_data.cast::<Memory<T, N>>()) });
    array.release = None;
}

unsafe extern "C" fn release_batch(array: *mut ArrowArray) {
    // SAFETY: the caller has an array created by `batch`, and calls this once.
    let array = unsafe { &mut *array };
    // SAFETY: as above; the children are the original ones, whether a consumer took them over or not.
    unsafe { drop_boxed(array.private_data.cast::<[*mut ArrowArray; COLUMNS]>()) };
    array.release = None;
}

/// The source of the batches of a stream, for one thread at a time.
pub(super) trait Producer: Send + Sync {
    fn schema(&self) -> ArrowSchema;

    /// Returns the next batch; `None` at the end. An error is an `errno` value; `failure` returns its message.
    fn next(&self) -> Result<Option<ArrowArray>, c_int>;

    /// Returns the message of the last failed call, which stays in place until the next call.
    fn failure(&self) -> *const c_char;
}

/// A stream of batches.
#[repr(C)]
pub(super) struct ArrowArrayStream {
    get_schema: unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowSchema) -> c_int,
    get_next: unsafe extern "C" fn(*mut ArrowArrayStream, *mut ArrowArray) -> c_int,
    get_last_error: unsafe extern "C" fn(*mut ArrowArrayStream) -> *const c_char,
    release: Option<Release<ArrowArrayStream>>,
    private_data: *mut c_void,
}

impl ArrowArrayStream {
    pub(super) fn new<P: Producer>(producer: P) -> Self {
        Self {
            get_schema: get_schema::<P>,
            get_next: get_next::<P>,
            get_last_error: get_last_error::<P>,
            release: Some(release_stream::<P>),
            private_data: Box::into_raw(Box::new(producer)).cast(),
        }
    }
}

// SAFETY: a producer can be sent to other threads.
unsafe impl Send for ArrowArrayStream {}

impl Drop for ArrowArrayStream {
    fn drop(&mut self) {
        if let Some(release) = self.release {
            // SAFETY: it is not released yet, and has no other owner.
            unsafe { release(self) }
        }
    }
}

/// # Safety
///
/// `stream` was created with a producer of this type, and is not released while the producer is used.
unsafe fn producer<'a, P: Producer>(stream: *mut ArrowArrayStream) -> &'a P {
    // SAFETY: the caller guarantees it.
    unsafe { &*(*stream).private_data.cast::<P>() }
}

unsafe extern "C" fn get_schema<P: Producer>(stream: *mut ArrowArrayStream, out: *mut ArrowSchema) -> c_int {
    // SAFETY: the consumer has the stream, and room for a schema, which need not be one yet.
    unsafe { out.write(producer::<P>(stream).schema()) };
    0
}

unsafe extern "C" fn get_next<P: Producer>(stream: *mut ArrowArrayStream, out: *mut ArrowArray) -> c_int {
    // SAFETY: the consumer has the stream.
    match unsafe { producer::<P>(stream) }.next() {
        Ok(batch) => {
            // SAFETY: the consumer has room for an array, which need not be one yet.
            unsafe { out.write(batch.unwrap_or_else(ArrowArray::end)) };
            0
        }
        Err(code) => code,
    }
}

unsafe extern "C" fn get_last_error<P: Producer>(stream: *mut ArrowArrayStream) -> *const c_char {
    // SAFETY: the consumer has the stream.
    unsafe { producer::<P>(stream) }.failure()
}

unsafe extern "C" fn release_stream<P: Producer>(stream: *mut ArrowArrayStream) {
    // SAFETY: the consumer has the stream, perhaps as a copy of its bytes, and calls this once.
    let stream = unsafe { &mut *stream };
    // SAFETY: as above; the box was created by `new` with this type of producer.
    drop(unsafe { Box::from_raw(stream.private_data.cast::<P>()) });
    stream.release = None;
}

fn signed(length: usize) -> i64 {
    i64::try_from(length).unwrap_or(i64::MAX)
}

/// Returns pointers to separately allocated columns, as C requires for children.
fn boxed<T>(columns: [T; COLUMNS]) -> *mut [*mut T; COLUMNS] {
    Box::into_raw(Box::new(columns.map(|column| Box::into_raw(Box::new(column)))))
}

/// # Safety
///
/// `children` come from `boxed` and have not been dropped, or are null.
unsafe fn drop_boxed<T>(children: *mut [*mut T; COLUMNS]) {
    if children.is_null() {
        return;
    }
    // SAFETY: the caller guarantees it.
    for child in *unsafe { Box::from_raw(children) } {
        // SAFETY: the same.
        drop(unsafe { Box::from_raw(child) });
    }
}
