//! Measures the zlib libraries on blocks like those of a capture file: speed, ratio, reuse, threads, CRC-32.
//!
//! Usage: `compressors [FOLDER or FILE]`. Of a folder, the `.py` files are read; without an argument, those of Python's
//! standard library.

use std::{
    env, fs,
    hint::black_box,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

const BLOCK_SIZE: usize = 32_768;
const SLOT_SIZE: usize = 40_960;
/// Number of measurements; the best counts, because other work can only slow down a run.
const ROUNDS: usize = 3;

/// Compresses or inflates the first slice into the second, and returns the length of the result.
type Step = Box<dyn FnMut(&[u8], &mut [u8]) -> usize>;

struct Library {
    name: &'static str,
    levels: &'static [i32],
    compressor: fn(i32) -> Step,
    inflater: fn() -> Step,
}

const ZLIB: Library =
    Library { name: "zlib", levels: &[1, 6, 9], compressor: zlib::compressor, inflater: zlib::inflater };
const LIBDEFLATE: Library = Library {
    name: "libdeflate",
    levels: &[1, 2, 3, 4, 5, 6, 7, 8, 9, 12],
    compressor: libdeflate::compressor,
    inflater: libdeflate::inflater,
};
const ZLIB_RS: Library = Library {
    name: "zlib-rs",
    levels: &[1, 2, 3, 4, 5, 6, 7, 8, 9],
    compressor: zlib_rust::compressor,
    inflater: zlib_rust::inflater,
};
const ZLIB_NG: Library = Library {
    name: "zlib-ng",
    levels: &[1, 2, 3, 4, 5, 6, 7, 8, 9],
    compressor: zlib_ng::compressor,
    inflater: zlib_ng::inflater,
};
const ISAL: Library =
    Library { name: "ISA-L", levels: &[0, 1, 2, 3], compressor: isal::compressor, inflater: isal::inflater };
const LIBRARIES: [Library; 5] = [ZLIB, LIBDEFLATE, ZLIB_RS, ZLIB_NG, ISAL];

fn main() {
    let text = Corpus::new(&read_sources(env::args_os().nth(1).map_or_else(python_sources, PathBuf::from)));
    println!("{} blocks, {:.1} MB\n", text.blocks.len(), text.bytes as f64 / 1e6);
    let level = compare_libraries(&text);
    compare_reuse(&text, level);
    compare_threads(&text, level);
    compare_crc(&text);
}

/// Measures each library at each level; returns libdeflate's lowest level whose ratio is at least that of zlib level 6.
fn compare_libraries(text: &Corpus) -> i32 {
    struct Row {
        library: Library,
        level: i32,
        ratio: f64,
        compress: f64,
        inflate: f64,
    }
    let mut rows = Vec::new();
    for library in LIBRARIES {
        for &level in library.levels {
            rows.push(Row { level, ratio: 0.0, compress: 0.0, inflate: 0.0, library: Library { ..library } });
        }
    }
    let mut packed = Packed::new(text);
    for _ in 0..ROUNDS {
        for row in &mut rows {
            let mut compress = (row.library.compressor)(row.level);
            let mut inflate = (row.library.inflater)();
            row.compress = row.compress.max(text.speed(|| packed.fill(text, &mut compress)));
            row.inflate = row.inflate.max(text.speed(|| packed.inflate(text, &mut inflate)));
            row.ratio = text.bytes as f64 / packed.bytes() as f64;
            let other = if row.library.name == ZLIB.name { &LIBDEFLATE } else { &ZLIB };
            packed.verify(text, (other.inflater)());
        }
    }

    println!("| library | level | ratio | compress MB/s | inflate MB/s |");
    println!("|---|---:|---:|---:|---:|");
    for row in &rows {
        let Row { library, level, ratio, compress, inflate } = row;
        println!("| {} | {level} | {ratio:.3} | {compress:.0} | {inflate:.0} |", library.name);
    }
    let find = |name, fits: &dyn Fn(&Row) -> bool| {
        rows.iter().find(|row| row.library.name == name && fits(row)).expect("a measured level fits")
    };
    let baseline = find(ZLIB.name, &|row| row.level == 6);
    let chosen = find(LIBDEFLATE.name, &|row| row.ratio >= baseline.ratio).level;
    println!("\nlibdeflate's lowest level with at least the ratio of zlib level 6: {chosen}");
    chosen
}

/// Compares one object for all blocks with a new one for each.
fn compare_reuse(text: &Corpus, libdeflate_level: i32) {
    println!("\n| library | level | compress: reused | new each | inflate: reused | new each |");
    println!("|---|---:|---:|---:|---:|---:|");
    let mut packed = Packed::new(text);
    for library in LIBRARIES {
        let level = match library.name {
            "libdeflate" => libdeflate_level,
            "ISA-L" => 3,
            _ => 6,
        };
        let (make_compressor, make_inflater) = (library.compressor, library.inflater);
        let mut best = [0.0_f64; 4];
        for _ in 0..ROUNDS {
            let mut compress = make_compressor(level);
            let mut inflate = make_inflater();
            let speeds = [
                text.speed(|| packed.fill(text, &mut compress)),
                text.speed(|| packed.fill(text, |block, output| make_compressor(level)(block, output))),
                text.speed(|| packed.inflate(text, &mut inflate)),
                text.speed(|| packed.inflate(text, |stream, output| make_inflater()(stream, output))),
            ];
            best = std::array::from_fn(|i| best[i].max(speeds[i]));
        }
        let [reused, fresh, inflate_reused, inflate_fresh] = best;
        println!(
            "| {} | {level} | {reused:.0} | {fresh:.0} | {inflate_reused:.0} | {inflate_fresh:.0} |",
            library.name
        );
    }
}

/// Measures libdeflate on one thread and on two at the same time, each with all blocks.
fn compare_threads(text: &Corpus, level: i32) {
    println!("\n| libdeflate, level {level} | compress MB/s | inflate MB/s |");
    println!("|---|---:|---:|");
    let mut packed = [Packed::new(text), Packed::new(text)];
    for threads in 1..=packed.len() {
        let (mut compress, mut inflate) = (0.0_f64, 0.0_f64);
        for _ in 0..ROUNDS {
            let speed = text.speed(|| {
                on_each(&mut packed[..threads], |packed| packed.fill(text, libdeflate::compressor(level)));
            });
            compress = compress.max(speed * threads as f64);
            let speed = text.speed(|| {
                on_each(&mut packed[..threads], |packed| packed.inflate(text, libdeflate::inflater()));
            });
            inflate = inflate.max(speed * threads as f64);
        }
        println!("| threads: {threads} | {compress:.0} | {inflate:.0} |");
    }
}

fn on_each(packed: &mut [Packed], work: impl Fn(&mut Packed) + Sync) {
    thread::scope(|scope| {
        for packed in packed {
            scope.spawn(|| work(packed));
        }
    });
}

/// Measures the CRC-32 of one master slot.
fn compare_crc(text: &Corpus) {
    const TIMES: usize = 20_000;
    let slot: Vec<u8> = text.blocks.iter().flatten().copied().cycle().take(SLOT_SIZE).collect();
    assert_eq!(libdeflater::crc32(&slot), crc32fast::hash(&slot));
    println!("\n| CRC-32 of {SLOT_SIZE} bytes | microseconds | GB/s |");
    println!("|---|---:|---:|");
    let measure = |name: &str, crc: fn(&[u8]) -> u32| {
        let seconds = (0..ROUNDS).map(|_| {
            seconds(|| {
                for _ in 0..TIMES {
                    black_box(crc(black_box(&slot)));
                }
            })
        });
        let each = seconds.fold(f64::INFINITY, f64::min) / TIMES as f64;
        println!("| {name} | {:.2} | {:.1} |", each * 1e6, SLOT_SIZE as f64 / each / 1e9);
    };
    measure("libdeflate", libdeflater::crc32);
    measure("crc32fast", crc32fast::hash);
}

/// The uncompressed blocks.
struct Corpus {
    blocks: Vec<Vec<u8>>,
    bytes: usize,
}

impl Corpus {
    /// Packs lines into blocks: each line becomes a record, and the record that fills a block closes it.
    fn new(sources: &[Vec<u8>]) -> Self {
        let mut blocks = Vec::new();
        let mut block = Vec::new();
        for line in sources.iter().flat_map(|source| source.split(|&byte| byte == b'\n')) {
            block.extend_from_slice(&length(line).to_be_bytes());
            block.extend_from_slice(line);
            if block.len() >= BLOCK_SIZE {
                blocks.push(std::mem::take(&mut block));
            }
        }
        assert!(!blocks.is_empty(), "too little text for a single block");
        let bytes = blocks.iter().map(Vec::len).sum();
        Self { blocks, bytes }
    }

    /// Returns the speed of `work`, which processes all blocks, in MB/s: the best of the runs in half a second.
    fn speed(&self, mut work: impl FnMut()) -> f64 {
        let start = Instant::now();
        let mut best = seconds(&mut work);
        while start.elapsed() < Duration::from_millis(500) {
            best = best.min(seconds(&mut work));
        }
        self.bytes as f64 / 1e6 / best
    }
}

/// The compressed blocks, in a buffer that is allocated, and its pages touched, only once.
struct Packed {
    buffer: Vec<u8>,
    ends: Vec<usize>,
    output: Vec<u8>,
}

impl Packed {
    /// Space in addition to the size of a block that is enough for every library, even for incompressible bytes.
    const SLACK: usize = 4096;

    fn new(text: &Corpus) -> Self {
        let longest = text.blocks.iter().map(Vec::len).max().unwrap_or(0);
        Self { buffer: vec![1; text.bytes + Self::SLACK], ends: Vec::new(), output: vec![1; longest] }
    }

    fn bytes(&self) -> usize {
        self.ends.last().copied().unwrap_or(0)
    }

    fn fill(&mut self, text: &Corpus, mut compress: impl FnMut(&[u8], &mut [u8]) -> usize) {
        self.ends.clear();
        for block in &text.blocks {
            let start = self.bytes();
            let room = &mut self.buffer[start..][..block.len() + Self::SLACK];
            self.ends.push(start + compress(block, room));
        }
    }

    fn inflate(&mut self, text: &Corpus, mut inflate: impl FnMut(&[u8], &mut [u8]) -> usize) {
        let mut start = 0;
        for (block, &end) in text.blocks.iter().zip(&self.ends) {
            let output = &mut self.output[..block.len()];
            assert_eq!(inflate(&self.buffer[start..end], output), block.len());
            black_box(output);
            start = end;
        }
    }

    /// Checks every stream with another library's inflater.
    fn verify(&mut self, text: &Corpus, mut inflate: Step) {
        let mut expected = text.blocks.iter();
        self.inflate(text, |stream, output| {
            let length = inflate(stream, output);
            assert_eq!(Some(&*output), expected.next().map(Vec::as_slice), "the round trip failed");
            length
        });
    }
}

fn seconds(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn python_sources() -> PathBuf {
    let print_folder = "import sysconfig; print(sysconfig.get_path('stdlib'), end='')";
    let python = Command::new("python3").args(["-c", print_folder]).output().expect("python3 runs");
    String::from_utf8(python.stdout).expect("the folder's name is UTF-8").into()
}

/// Reads a file, or all Python sources in a folder except those of installed packages.
fn read_sources(path: PathBuf) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    if path.is_file() {
        files.push(path);
    } else {
        add_sources(&path, &mut files);
        files.sort();
    }
    files.iter().map(|file| fs::read(file).expect("a readable file")).collect()
}

fn add_sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() && !path.ends_with("site-packages") {
            add_sources(&path, files);
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "py") {
            files.push(path);
        }
    }
}

mod libdeflate {
    use super::Step;
    use libdeflater::{CompressionLvl, Compressor, Decompressor};

    pub fn compressor(level: i32) -> Step {
        let mut compressor = Compressor::new(CompressionLvl::new(level).expect("a valid level"));
        Box::new(move |block, output| compressor.zlib_compress(block, output).expect("enough room"))
    }

    pub fn inflater() -> Step {
        let mut inflater = Decompressor::new();
        Box::new(move |stream, output| inflater.zlib_decompress(stream, output).expect("a valid stream"))
    }
}

mod zlib_rust {
    use super::Step;
    use zlib_rs::{Deflate, DeflateFlush, Inflate, InflateFlush, Status};

    const WINDOW_BITS: u8 = 15;

    pub fn compressor(level: i32) -> Step {
        let mut deflate = Deflate::new(level, true, WINDOW_BITS);
        Box::new(move |block, output| {
            deflate.reset();
            assert_eq!(deflate.compress(block, output, DeflateFlush::Finish), Ok(Status::StreamEnd));
            usize::try_from(deflate.total_out()).expect("a block fits in memory")
        })
    }

    pub fn inflater() -> Step {
        let mut inflate = Inflate::new(true, WINDOW_BITS);
        Box::new(move |stream, output| {
            inflate.reset(true);
            assert_eq!(inflate.decompress(stream, output, InflateFlush::Finish), Ok(Status::StreamEnd));
            usize::try_from(inflate.total_out()).expect("a block fits in memory")
        })
    }
}

/// Defines the same calls for zlib and zlib-ng, whose bindings differ only in the name of the crate.
macro_rules! zlib_api {
    ($name:ident, $sys:ident) => {
        mod $name {
            use super::{Step, length};
            use std::{
                ffi::c_int,
                mem::{MaybeUninit, size_of},
            };

            const STREAM_SIZE: c_int = size_of::<$sys::z_stream>() as c_int;

            /// A stream, at a fixed address, because its state contains a pointer to it.
            struct Stream {
                raw: Box<MaybeUninit<$sys::z_stream>>,
                end: unsafe extern "C" fn($sys::z_streamp) -> c_int,
            }

            impl Drop for Stream {
                fn drop(&mut self) {
                    // SAFETY: `step` gets only streams whose initialization succeeded.
                    unsafe { (self.end)(self.raw.as_mut_ptr()) };
                }
            }

            fn step(
                mut stream: Stream,
                reset: unsafe extern "C" fn($sys::z_streamp) -> c_int,
                run: unsafe extern "C" fn($sys::z_streamp, c_int) -> c_int,
            ) -> Step {
                Box::new(move |input, output| {
                    let raw = stream.raw.as_mut_ptr();
                    // SAFETY: the stream is initialized, and the two slices outlive the calls.
                    unsafe {
                        assert_eq!(reset(raw), $sys::Z_OK);
                        (*raw).next_in = input.as_ptr().cast_mut();
                        (*raw).avail_in = length(input);
                        (*raw).next_out = output.as_mut_ptr();
                        (*raw).avail_out = length(output);
                        assert_eq!(run(raw, $sys::Z_FINISH), $sys::Z_STREAM_END);
                        output.len() - (*raw).avail_out as usize
                    }
                })
            }

            pub fn compressor(level: i32) -> Step {
                let mut raw = Box::new(MaybeUninit::zeroed());
                // SAFETY: a zeroed stream asks for the default allocator, as the C interface specifies.
                let code =
                    unsafe { $sys::deflateInit_(raw.as_mut_ptr(), level, $sys::zlibVersion(), STREAM_SIZE) };
                assert_eq!(code, $sys::Z_OK);
                step(Stream { raw, end: $sys::deflateEnd }, $sys::deflateReset, $sys::deflate)
            }

            pub fn inflater() -> Step {
                let mut raw = Box::new(MaybeUninit::zeroed());
                // SAFETY: as for the compressor.
                let code = unsafe { $sys::inflateInit_(raw.as_mut_ptr(), $sys::zlibVersion(), STREAM_SIZE) };
                assert_eq!(code, $sys::Z_OK);
                step(Stream { raw, end: $sys::inflateEnd }, $sys::inflateReset, $sys::inflate)
            }
        }
    };
}

zlib_api!(zlib, libz_sys);
zlib_api!(zlib_ng, libz_ng_sys);

mod isal {
    use super::{Step, length};
    use isal_sys::igzip_lib as sys;
    use std::{mem::MaybeUninit, ptr};

    pub fn compressor(level: i32) -> Step {
        let buffer_size = match level {
            0 => sys::ISAL_DEF_LVL0_DEFAULT,
            1 => sys::ISAL_DEF_LVL1_DEFAULT,
            2 => sys::ISAL_DEF_LVL2_DEFAULT,
            _ => sys::ISAL_DEF_LVL3_DEFAULT,
        };
        let mut buffer = vec![0_u8; buffer_size as usize];
        let mut stream = Box::new(MaybeUninit::<sys::isal_zstream>::zeroed());
        Box::new(move |block, output| {
            let raw = stream.as_mut_ptr();
            // SAFETY: every field is a number or a pointer, so zeros are valid; the slices and the level's
            // buffer outlive the call.
            unsafe {
                sys::isal_deflate_stateless_init(raw);
                (*raw).level = level.cast_unsigned();
                (*raw).level_buf = if buffer.is_empty() { ptr::null_mut() } else { buffer.as_mut_ptr() };
                (*raw).level_buf_size = buffer_size;
                (*raw).gzip_flag = sys::IGZIP_ZLIB as u16;
                (*raw).end_of_stream = 1;
                (*raw).next_in = block.as_ptr().cast_mut();
                (*raw).avail_in = length(block);
                (*raw).next_out = output.as_mut_ptr();
                (*raw).avail_out = length(output);
                assert_eq!(sys::isal_deflate_stateless(raw), sys::COMP_OK.cast_signed());
                (*raw).total_out as usize
            }
        })
    }

    pub fn inflater() -> Step {
        let mut state = Box::new(MaybeUninit::<sys::inflate_state>::zeroed());
        Box::new(move |stream, output| {
            let raw = state.as_mut_ptr();
            // SAFETY: as for the compressor.
            unsafe {
                sys::isal_inflate_init(raw);
                (*raw).crc_flag = sys::ISAL_ZLIB;
                (*raw).next_in = stream.as_ptr().cast_mut();
                (*raw).avail_in = length(stream);
                (*raw).next_out = output.as_mut_ptr();
                (*raw).avail_out = length(output);
                assert_eq!(sys::isal_inflate_stateless(raw), sys::ISAL_DECOMP_OK.cast_signed());
                (*raw).total_out as usize
            }
        })
    }
}

fn length(slice: &[u8]) -> u32 {
    u32::try_from(slice.len()).expect("a block is short")
}
