//! Contents of blocks: real data, where this machine has it, and generated data, which is the same each time.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// The default block size of a capture file: a block ends with the record that fills this many bytes.
const BLOCK: usize = 32_768;

/// Number of bytes of each kind.
const ENOUGH: usize = 3 << 20;

pub(crate) struct Corpus {
    pub(crate) name: &'static str,
    /// The group in which its results are summarised.
    pub(crate) kind: &'static str,
    pub(crate) blocks: Vec<Vec<u8>>,
}

pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % limit as u64).unwrap_or(0)
    }

    fn noise(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Returns all corpora for which this machine has data.
pub(crate) fn all() -> Vec<Corpus> {
    let python =
        files(&["/usr/lib/python3", "/usr/lib/python3.11", "/usr/local/lib", "/usr/lib/python3.13"], "py");
    let own = files(&["src", "tests", "benches"], "rs");
    let headers = files(&["/usr/include"], "h");
    let packages = files(&["/var/lib/dpkg/status", "/usr/share/perl"], "");
    let modules = files(&["/usr/share/perl", "/usr/share/perl5"], "pm");
    let programs = files(&["/usr/bin", "/bin"], "");
    let mut corpora = Vec::new();
    let mut add = |kind, name, blocks: Vec<Vec<u8>>| corpora.push(Corpus { name, kind, blocks });
    add("text", "Python source", records(lines(&python)));
    add("text", "C headers", records(lines(&headers)));
    add("text", "package index", records(lines(&packages)));
    add("text", "own source", records(lines(&own)));
    add("text", "log lines", records(log_lines(&python)));
    add("text", "JSON records", records(json_records(&packages)));
    add("text", "JSON events", records(json_events(&python)));
    add("held out", "Perl modules by 2 KB", records(modules.chunks(2000).map(<[u8]>::to_vec)));
    add("held out", "numbers as CSV", records(numbers()));
    add("held out", "hexadecimal digits", records(hexadecimal()));
    add("binary", "programs, 64 KB", programs.chunks(65_536).map(<[u8]>::to_vec).collect());
    add("binary", "programs, 500 B", records(programs.chunks(500).map(<[u8]>::to_vec)));
    add("binary", "index nodes", records(nodes()));
    add("binary", "floats", records(floats()));
    for (name, grain) in [
        ("half noise, 1 B", 1),
        ("half noise, 16 B", 16),
        ("half noise, 300 B", 300),
        ("half noise, 8 KB", 8192),
    ] {
        add("half noise", name, records(half_noise(&python, grain)));
    }
    for (name, size) in [("1 to 64 B", 64), ("1 to 512 B", 512), ("1 to 4096 B", 4096)] {
        add("tiny", name, tiny(&python, size));
    }
    corpora
}

/// Returns the bytes of the files below `places` whose names end in `extension`, in the order of their names.
fn files(places: &[&str], extension: &str) -> Vec<u8> {
    let mut found = Vec::new();
    let mut waiting: Vec<PathBuf> = places.iter().rev().map(PathBuf::from).collect();
    while let Some(path) = waiting.pop() {
        if found.len() >= ENOUGH {
            break;
        }
        if path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            let Ok(inside) = path.read_dir() else { continue };
            let mut inside: Vec<_> = inside.flatten().map(|entry| entry.path()).collect();
            inside.sort_unstable_by(|some, other| other.cmp(some));
            waiting.append(&mut inside);
        } else if extension.is_empty() || path.extension().is_some_and(|end| end == extension) {
            found.extend(read(&path));
        }
    }
    found.truncate(ENOUGH);
    found
}

/// Reads at most a few hundred kilobytes of a file, so that no corpus consists of a single file.
fn read(path: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(path).unwrap_or_default();
    bytes.truncate(400_000);
    bytes
}

fn lines(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec)
}

/// Packs records into blocks as a capture file does, each after its length, with the index nodes in between.
fn records(records: impl IntoIterator<Item = Vec<u8>>) -> Vec<Vec<u8>> {
    let (mut blocks, mut block, mut node, mut position) = (Vec::new(), Vec::new(), Vec::new(), 4096_u64);
    for record in records {
        node.extend_from_slice(&position.to_be_bytes());
        node.extend_from_slice(&u32::try_from(block.len()).unwrap_or(0).to_be_bytes());
        block.extend_from_slice(&u32::try_from(record.len()).unwrap_or(0).to_be_bytes());
        block.extend_from_slice(&record);
        if node.len() == 32 * 12 {
            block.append(&mut node);
        }
        if block.len() >= BLOCK {
            position += block.len() as u64 / 3;
            blocks.push(std::mem::take(&mut block));
        }
    }
    blocks
}

fn log_lines(text: &[u8]) -> Vec<Vec<u8>> {
    let mut dice = Dice(11);
    let (levels, paths) =
        (["INFO", "DEBUG", "WARNING", "INFO"], ["/api/orders", "/login", "/static/app.js", "/"]);
    let mut words = text.split(|byte| !byte.is_ascii_alphabetic()).filter(|word| word.len() > 3).cycle();
    let line = |number: usize| {
        let word = |bytes: Option<&[u8]>| String::from_utf8_lossy(bytes.unwrap_or(b"none")).into_owned();
        format!(
            "2026-03-{:02}T{:02}:{:02}:{:02}.{:06}Z {} [{}] {}: GET {}/{} {} from 10.0.{}.{} in {} us",
            1 + number / 40_000,
            number / 1700 % 24,
            number / 28 % 60,
            number / 7 % 60,
            dice.below(1_000_000),
            levels[dice.below(4)],
            dice.below(24),
            word(words.next()),
            paths[dice.below(4)],
            dice.below(100_000),
            [200, 200, 200, 304, 404, 500][dice.below(6)],
            dice.below(4),
            dice.below(256),
            dice.below(50_000)
        )
        .into_bytes()
    };
    (0..ENOUGH / 110).map(line).collect()
}

/// Returns a JSON object for each installed package, or for each group of other lines of names and values.
fn json_records(text: &[u8]) -> Vec<Vec<u8>> {
    let text = String::from_utf8_lossy(text);
    let mut records = vec![String::from("{")];
    for line in text.lines() {
        let last = records.len() - 1;
        if line.is_empty() && records[last].len() > 1 {
            records[last].push('}');
            records.push(String::from("{"));
        } else if let Some((name, value)) = line.split_once(": ") {
            let comma = if records[last].len() > 1 { ", " } else { "" };
            let _ = write!(records[last], "{comma}\"{}\": {value:?}", name.trim());
        }
    }
    records.into_iter().map(String::into_bytes).collect()
}

/// Returns log records as a JSON formatter writes them; their messages are lines of text.
fn json_events(text: &[u8]) -> Vec<Vec<u8>> {
    let mut dice = Dice(12);
    let text = String::from_utf8_lossy(text);
    let event = |(number, line): (usize, &str)| {
        format!(
            "{{\"time\":{}.{:03},\"level\":\"{}\",\"logger\":\"app.worker{}\",\"message\":{:?},\"line\":{},\"id\":\"{:016x}\"}}",
            1_772_000_000 + number / 9,
            dice.below(1000),
            ["info", "info", "warning", "error"][dice.below(4)],
            dice.below(9),
            line.trim(),
            dice.below(900),
            dice.next()
        )
        .into_bytes()
    };
    text.lines().filter(|line| line.trim().len() > 12).enumerate().map(event).take(ENOUGH / 130).collect()
}

fn numbers() -> Vec<Vec<u8>> {
    let mut dice = Dice(13);
    let mut row = |number: usize| {
        let (a, b, c) = (dice.below(1_000_000), dice.below(2000), dice.below(90_000));
        format!("{number},{}.{:06},{b},{}.{:04},{}", a % 90, a, c % 180, c % 10_000, a % 7).into_bytes()
    };
    (0..ENOUGH / 40).map(&mut row).collect()
}

fn hexadecimal() -> Vec<Vec<u8>> {
    let mut dice = Dice(14);
    (0..ENOUGH / 64)
        .map(|_| (0..4).flat_map(|_| format!("{:016x}", dice.next()).into_bytes()).collect())
        .collect()
}

/// Returns blocks of records of one byte, so that most of the bytes are index nodes.
fn nodes() -> Vec<Vec<u8>> {
    (0..ENOUGH / 40).map(|number| vec![b'a' + u8::try_from(number % 3).unwrap_or(0)]).collect()
}

/// Returns a measured curve, with eight bytes for each value; the last of them are noise.
fn floats() -> Vec<Vec<u8>> {
    let mut dice = Dice(15);
    let mut value = 20.0_f64;
    let mut next = || {
        value += f64::from(u16::try_from(dice.below(2001)).unwrap_or(0)) / 1000.0 - 1.0;
        value.to_le_bytes()
    };
    (0..ENOUGH / 160).map(|_| (0..20).flat_map(|_| next()).collect()).collect()
}

/// Returns records of 1 KB, or as long as one grain, in which text and noise alternate.
fn half_noise(text: &[u8], grain: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice(16);
    let mixed: Vec<u8> =
        text[..text.len() / 2].chunks(grain).flat_map(|part| [part, &dice.noise(grain)].concat()).collect();
    mixed.chunks(1024.max(2 * grain)).map(<[u8]>::to_vec).collect()
}

/// Returns blocks of few bytes, like those of commits of single records.
fn tiny(text: &[u8], most: usize) -> Vec<Vec<u8>> {
    let mut dice = Dice(17);
    let mut rest = &text[..text.len() / 2];
    let mut blocks = Vec::new();
    while rest.len() > most {
        let (block, later) = rest.split_at(1 + dice.below(most));
        blocks.push(block.to_vec());
        rest = later;
    }
    blocks
}
