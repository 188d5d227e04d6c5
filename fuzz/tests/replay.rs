//! Seeds, and many random changes of each, through every reader.
//!
//! What fuzzing by coverage finds is kept as a seed, so that it is fed in every run of the tests.
#![allow(clippy::unwrap_used, reason = "a test may stop here")]

use std::{
    env, fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use attelier_fuzz::{READERS, Reader};
use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// Changed copies of each seed.
const CHANGES: u64 = 400;

fn seeds(reader: &Reader) -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("seeds").join(reader.name);
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Changes, repeats, moves and cuts a few bytes, or puts in a piece of another seed.
fn change(seed: &[u8], others: &[Vec<u8>], random: &mut Pcg64Mcg) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "0",
        "-1",
        "1e400",
        "18446744073709551616",
        "9223372036854775807",
        "NaN",
        "null",
        "[",
        "{",
        "\"",
        "\n",
        "\u{fffd}",
    ];
    let mut bytes = seed.to_vec();
    for _ in 0..random.random_range(1..=4) {
        let at = random.random_range(0..=bytes.len());
        let end = (at + random.random_range(0..16)).min(bytes.len());
        match random.random_range(0..6) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => {
                let piece = bytes[at..end].to_vec();
                let to = random.random_range(0..=bytes.len());
                bytes.splice(to..to, piece);
            }
            3 => drop(bytes.splice(at..end, WORDS[random.random_range(0..WORDS.len())].bytes())),
            4 => {
                let other = &others[random.random_range(0..others.len())];
                let from = random.random_range(0..=other.len());
                let to = (from + random.random_range(0..64)).min(other.len());
                bytes.splice(at..end, other[from..to].iter().copied());
            }
            _ => bytes[at..end].iter_mut().for_each(|byte| *byte = random.random()),
        }
    }
    bytes
}

/// `ATTELIER_CHANGES` asks for more changes than the tests have time for.
#[test]
fn no_reader_panics() {
    let changes = env::var("ATTELIER_CHANGES").map_or(CHANGES, |text| text.parse().unwrap());
    let mut random = Pcg64Mcg::seed_from_u64(0);
    let mut inputs = 0u64;
    for reader in READERS {
        let seeds = seeds(&reader);
        assert!(!seeds.is_empty(), "`{}` has no seed", reader.name);
        let mut slowest = Duration::ZERO;
        for seed in &seeds {
            (reader.feed)(seed);
            for _ in 0..changes {
                let input = change(seed, &seeds, &mut random);
                let start = Instant::now();
                (reader.feed)(&input);
                slowest = slowest.max(start.elapsed());
            }
            inputs += 1 + changes;
        }
        eprintln!("{}: {} seeds, slowest input {slowest:?}", reader.name, seeds.len());
    }
    eprintln!("{inputs} inputs");
    assert!(inputs >= READERS.len() as u64 * CHANGES);
}

/// Changes of a seed that is refused at its first byte would test little.
#[test]
fn every_reader_accepts_a_seed() {
    for reader in READERS {
        assert!(seeds(&reader).iter().any(|seed| (reader.feed)(seed)), "{}", reader.name);
    }
}
