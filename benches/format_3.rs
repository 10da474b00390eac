//! Format 3 beside version 2, in one run: `cargo bench --bench format_3`. Medians of some rounds in turn.

#![expect(clippy::unwrap_used, reason = "a benchmark fails by panicking")]
#![expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]

use std::hint::black_box;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::Instant;

use capturefile::v3::trial::{Append, Look};
use capturefile::{CompressionLevel, OpenOptions, SyncMode};

const ROUNDS: usize = 5;
const EVERY: usize = 1000;

fn text() -> Vec<u8> {
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![PathBuf::from("/usr/lib/python3.11"), PathBuf::from("/usr/local/lib/python3.11")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() && !path.ends_with("site-packages") && !path.ends_with("dist-packages") {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "py") {
                files.push(path);
            }
        }
    }
    files.sort();
    files.iter().flat_map(|path| std::fs::read(path).unwrap_or_default()).collect()
}

/// Lines, each two that follow each other joined: some 80 bytes.
fn lines(text: &[u8], count: usize) -> Vec<Vec<u8>> {
    let lines: Vec<_> = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    let pairs: Vec<_> = lines.chunks_exact(2).map(|pair| [pair[0], pair[1]].join(&b' ')).collect();
    pairs.iter().cycle().take(count).cloned().collect()
}

fn noise(count: usize) -> Vec<Vec<u8>> {
    let mut state = 1_u64;
    let mut half = || -> Vec<u8> {
        (0..4096)
            .flat_map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                state.to_be_bytes()
            })
            .collect()
    };
    let fixed = half();
    (0..count).map(|_| [half(), fixed.clone()].concat()).collect()
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

type Write<'a> = Box<dyn Fn(&Path, &[Vec<u8>], usize) + 'a>;

fn version_2(sync: SyncMode) -> Write<'static> {
    Box::new(move |path, records, every| {
        let options = OpenOptions::new().write(true).replace(true).sync(sync).threads(2);
        let file = options.compression_level(CompressionLevel::default()).open(path).unwrap();
        for batch in records.chunks(every) {
            for record in batch {
                if file.try_add_record(record).unwrap().is_none() {
                    file.add_record(record).unwrap();
                }
            }
            file.commit().unwrap();
        }
    })
}

fn version_3(codec: &'static str, level: u32, block: u32, sync: SyncMode) -> Write<'static> {
    Box::new(move |path, records, every| {
        let mut file = Append::create(path, codec, level, block, sync, 2).unwrap();
        for batch in records.chunks(every) {
            for record in batch {
                file.add(record).unwrap();
            }
            file.commit().unwrap();
        }
    })
}

fn append(what: &str, records: &[Vec<u8>], every: usize, writers: &[(&str, Write<'_>)], folder: &Path) {
    let raw: usize = records.iter().map(Vec::len).sum();
    let mut times = vec![Vec::new(); writers.len()];
    let mut sizes = vec![0; writers.len()];
    for _ in 0..ROUNDS {
        for (index, (_, write)) in writers.iter().enumerate() {
            let path = folder.join("log.capture");
            let _ = std::fs::remove_file(&path);
            times[index].push(timed(|| write(&path, records, every)));
            sizes[index] = std::fs::metadata(&path).unwrap().len();
        }
    }
    let base = median(times[0].clone());
    for (index, (name, _)) in writers.iter().enumerate() {
        let time = median(times[index].clone());
        println!(
            "{what:34} {name:16} {:8.3} us  {:5.2}x  {:5.1} % of raw",
            time * 1e6 / records.len() as f64,
            base / time,
            100.0 * sizes[index] as f64 / raw as f64
        );
    }
}

fn read(records: &[Vec<u8>], folder: &Path) {
    let (two, three) = (folder.join("two"), folder.join("three"));
    version_2(SyncMode::None)(&two, records, EVERY);
    version_3("zstd", 1, 128 << 10, SyncMode::None)(&three, records, EVERY);
    let count = records.len() as u64;
    let (mut cold, mut warm, mut scan, mut open) =
        ([vec![], vec![]], [vec![], vec![]], [vec![], vec![]], [vec![], vec![]]);
    for _ in 0..ROUNDS {
        for cache in [0, 1 << 30] {
            let out = if cache == 0 { &mut cold } else { &mut warm };
            let gets = if cache == 0 { 2000 } else { 200_000 };
            let numbers = || (0..gets).map(|n: u64| n * 7919 % count + 1);
            let snapshot = OpenOptions::new().cache_size(cache).open(&two).unwrap().snapshot().unwrap();
            let all: usize =
                (1..=count).map(|n| if cache == 0 { 0 } else { snapshot.record(n).unwrap().len() }).sum();
            black_box(all);
            out[0].push(
                timed(|| numbers().for_each(|n| drop(black_box(snapshot.record(n).unwrap())))) / gets as f64,
            );
            let look = Look::open(&three, cache).unwrap();
            let all: usize = (1..=count).map(|n| if cache == 0 { 0 } else { look.length(n).unwrap() }).sum();
            black_box(all);
            out[1]
                .push(timed(|| numbers().for_each(|n| _ = black_box(look.length(n).unwrap()))) / gets as f64);
        }
        let snapshot = OpenOptions::new().threads(1).open(&two).unwrap().snapshot().unwrap();
        scan[0].push(
            timed(|| _ = black_box(snapshot.records(1).map(|r| r.unwrap().len()).sum::<usize>()))
                / count as f64,
        );
        let look = Look::open(&three, 48 << 20).unwrap();
        scan[1].push(timed(|| _ = black_box(look.scan().unwrap())) / count as f64);
        open[0].push(timed(|| (0..100).for_each(|_| drop(OpenOptions::new().open(&two).unwrap()))) / 100.0);
        open[1].push(timed(|| (0..100).for_each(|_| drop(Look::open(&three, 48 << 20).unwrap()))) / 100.0);
    }
    for (what, [two, three]) in
        [("get, no cache", cold), ("get, warm", warm), ("scan, one thread", scan), ("open", open)]
    {
        let (two, three) = (median(two), median(three));
        println!(
            "{what:34} version 2 {:9.3} us, format 3 {:9.3} us: {:.2}x",
            two * 1e6,
            three * 1e6,
            two / three
        );
    }
    let look = Look::open(&three, 48 << 20).unwrap();
    let times: Vec<_> = (1..100).map(|n| look.time(n * count / 100).unwrap()).collect();
    let time = timed(|| times.iter().for_each(|time| _ = black_box(look.number_at(*time).unwrap())));
    println!("{:34} {:.2} us", "record of a time, warm", time * 1e6 / times.len() as f64);
}

fn full_log(folder: &Path) {
    let path = folder.join("full");
    let records = vec![vec![b'x'; 14]; 2000];
    version_3("zstd", 1, 128 << 10, SyncMode::None)(&path, &records, 1);
    let time = timed(|| (0..100).for_each(|_| drop(Look::open(&path, 48 << 20).unwrap()))) / 100.0;
    println!("{:34} {:.1} us", "open, 2,000 entries in the log", time * 1e6);
}

fn bare_sync(folder: &Path) -> f64 {
    let file = std::fs::File::create(folder.join("bare")).unwrap();
    file.write_all_at(&vec![1; 1 << 20], 0).unwrap();
    file.sync_all().unwrap();
    let once = |n: u64| {
        file.write_all_at(&[7; 4096], n % 256 * 4096).unwrap();
        file.sync_data().unwrap();
    };
    median((0..300).map(|n| timed(|| once(n))).collect())
}

fn durable_commits(folder: &Path) {
    let mut two = Vec::new();
    let mut three = Vec::new();
    let file = OpenOptions::new().write(true).replace(true).open(folder.join("sync2")).unwrap();
    let mut new = Append::create(&folder.join("sync3"), "zstd", 1, 128 << 10, SyncMode::Full, 2).unwrap();
    let record = vec![b'r'; 200];
    let bare = bare_sync(folder);
    for _ in 0..300 {
        two.push(timed(|| {
            file.add_record(&record).unwrap();
            file.commit().unwrap();
        }));
        three.push(timed(|| {
            new.add(&record).unwrap();
            new.commit().unwrap();
        }));
    }
    let (two, three) = (median(two), median(three));
    println!(
        "durable commit of one: bare {:.1} us, version 2 {:.2}, format 3 {:.2} times that",
        bare * 1e6,
        two / bare,
        three / bare
    );
}

fn main() {
    let folder = tempfile::tempdir_in(std::env::var("BENCH_FOLDER").unwrap_or("/var/tmp".into())).unwrap();
    let text = text();
    let some = lines(&text, 400_000);
    let pieces: Vec<_> = text.chunks_exact(1000).take(40_000).map(<[u8]>::to_vec).collect();
    let binary = noise(1000);
    let compressors = |sync| -> Vec<(&'static str, Write<'static>)> {
        vec![
            ("version 2", version_2(sync)),
            ("zstd 1", version_3("zstd", 1, 128 << 10, sync)),
            ("zstd 3", version_3("zstd", 3, 128 << 10, sync)),
            ("zstd 1, 64 KiB", version_3("zstd", 1, 64 << 10, sync)),
            ("lz4", version_3("lz4", 1, 128 << 10, sync)),
        ]
    };
    append("lines, commit each 1,000", &some, EVERY, &compressors(SyncMode::None), folder.path());
    append(
        "lines, commit each 1,000, sync",
        &some[..100_000],
        EVERY,
        &compressors(SyncMode::Full),
        folder.path(),
    );
    append("1 KB records, commit each 1,000", &pieces, EVERY, &compressors(SyncMode::None), folder.path());
    append("64 KB binary, commit each 100", &binary, 100, &compressors(SyncMode::None), folder.path());
    append("commit of one", &some[..100_000], 1, &compressors(SyncMode::None)[..2], folder.path());
    read(&some, folder.path());
    full_log(folder.path());
    durable_commits(folder.path());
}
