//! Feeds the reader that `ATTELIER_READER` names with what libFuzzer makes up.
#![no_main]

use std::{env, sync::LazyLock};

use attelier_fuzz::{READERS, Reader, find};

static READER: LazyLock<Reader> = LazyLock::new(|| {
    let name = env::var("ATTELIER_READER").unwrap_or_default();
    let names: Vec<&str> = READERS.iter().map(|reader| reader.name).collect();
    find(&name).unwrap_or_else(|| panic!("ATTELIER_READER is `{name}`: expected one of {names:?}"))
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    (READER.feed)(bytes);
});
