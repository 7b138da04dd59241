#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| blazetune_fuzz::data::read_labels(bytes));
