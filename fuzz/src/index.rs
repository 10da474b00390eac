//! Pages of indexes with right checksums, whatever they contain, as an index reads and merges them.

use crate::field_index::json::FieldPath;
use crate::field_index::pages::{
    GROUPS_PER_PAGE, Part, Place, Spread, decode_groups, decode_hashes, groups_with,
};
use crate::field_index::run::{Pages, Run};
use crate::field_index::value::{Interval, Value};

const KEY: &str = "a";
const SUM: usize = 4;

/// What an input starts with: the numbers of groups and of pages of hashes, how many bytes of the rest are the first
/// page, and which page of hashes it is.
struct Input<'a> {
    part: Part,
    number: u64,
    first: &'a [u8],
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    fn new(data: &'a [u8]) -> Option<Self> {
        let (groups, data) = data.split_first_chunk::<4>()?;
        let ([low, middle, high], data) = data.split_first_chunk::<3>()?;
        let (length, data) = data.split_first_chunk::<2>()?;
        let (number, body) = data.split_first()?;
        let spread = Spread {
            groups: u64::from(u32::from_le_bytes(*groups)),
            pages: u64::from(u32::from_le_bytes([*low, *middle, *high, 0])),
        };
        let part = spread.is_valid().then(|| Part::new(1, KEY, spread))?;
        let (first, rest) = body.split_at(usize::from(u16::from_le_bytes(*length)).min(body.len()));
        Some(Self { part, number: u64::from(*number) % spread.pages, first, rest })
    }
}

pub(crate) fn use_pages(data: &[u8]) {
    FieldPath::new("a.b").values(data, &mut |text| {
        assert!(Value::parse(text).is_none_or(|value| value.hash() == value.hash()));
    });
    let Some(Input { part, number, first, rest }) = Input::new(data) else { return };
    look_up(first, part, number);
    check_groups(rest, part.groups(0));
    merge(part, first, rest);
}

fn look_up(body: &[u8], part: Part, number: u64) {
    let page = part.hashes(number).seal(body);
    let mut last = None;
    let mut count = 0;
    decode_hashes(&page, part.hashes(number), |entry| {
        assert!(last.is_none_or(|last| last < entry), "entries ascend");
        assert!(entry & u64::from(u32::MAX) < part.spread.groups, "groups are those of the run");
        assert_eq!(part.spread.page_of(entry << 8), number, "hashes are those of the page");
        last = Some(entry);
        count += 1;
        true
    });
    assert!(count <= part.spread.max_entries());
    if let Some(entry) = last {
        let found = groups_with(&page, entry << 8, part.hashes(number));
        assert!(found.is_none_or(|found| found.iter().any(|group| u64::from(*group) == entry & 0xFFFF_FFFF)));
    }
}

fn check_groups(body: &[u8], place: Place) {
    let Some((first, groups)) = decode_groups(&place.seal(body), place) else { return };
    assert!(groups.len() <= GROUPS_PER_PAGE);
    assert!(groups.iter().all(|(last, _)| *last >= first && *last < u64::MAX));
    assert!(groups.windows(2).all(|pair| pair[0].0 < pair[1].0), "groups ascend");
    for (_, bounds) in &groups {
        Interval::Numbers(Some(0.5), Some(f64::NAN)).meets(bounds);
        Interval::Texts(Some(b"m".to_vec()), None).meets(bounds);
    }
}

/// Puts a run of these pages before another one; what results can be read.
fn merge(part: Part, hashes: &[u8], groups: &[u8]) {
    let pages = (vec![part.groups(0).seal(groups)], vec![part.hashes(0).seal(hashes)]);
    let mut run = Run::new(&[KEY.to_owned()], 1000);
    run.add(1000, b"{\"a\": 1}");
    run.end_group();
    let Ok(count) = u32::try_from(part.spread.groups) else { return };
    if run.prepend(1, count, &[pages]).is_some() {
        for (pages, number) in run.pages().into_iter().zip(0..) {
            check_merged(&pages, run.groups(), number);
        }
    }
}

fn check_merged((groups, hashes): &Pages, count: u32, key: usize) {
    assert_eq!(key, 0);
    let part = Part::new(1, KEY, Spread { groups: u64::from(count), pages: hashes.len() as u64 });
    for (page, number) in groups.iter().zip(0..) {
        assert!(decode_groups(page, part.groups(number)).is_some());
    }
    for (page, number) in hashes.iter().zip(0..) {
        assert!(decode_hashes(page, part.hashes(number), |_| true).is_some());
    }
}

/// Inputs as indexes have them, with which fuzzing starts.
pub(crate) fn seeds() -> Vec<(String, Vec<u8>)> {
    ["numbers", "texts", "mixed", "none"].map(|name| (name.to_owned(), seed(name))).into()
}

fn value(kind: &str, number: u64) -> String {
    match kind {
        "texts" => format!("\"text {}\"", number % 7),
        "mixed" if number.is_multiple_of(3) => "null".to_owned(),
        "mixed" if number.is_multiple_of(2) => "[]".to_owned(),
        "none" => "NaN".to_owned(),
        _ => number.to_string(),
    }
}

fn seed(kind: &str) -> Vec<u8> {
    let mut run = Run::new(&[KEY.to_owned()], 1);
    for number in 1..=60 {
        run.add(number, format!("{{\"a\": {}}}", value(kind, number)).as_bytes());
        if number % 4 == 0 {
            run.end_group();
        }
    }
    let (groups, hashes) = run.pages().swap_remove(0);
    let first = &hashes[0][SUM..];
    let [low, high, ..] = first.len().to_le_bytes();
    [&run.groups().to_le_bytes()[..], &[1, 0, 0, low, high, 0], first, &groups[0][SUM..]].concat()
}
