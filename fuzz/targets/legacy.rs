//! Puts the input after the magic number, which a fuzzer would never guess.
#![no_main]

const MAGIC: &[u8] = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = blazetune_fuzz::weights::load(&[MAGIC, bytes.strip_prefix(MAGIC).unwrap_or(bytes)].concat());
});
