#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = blazetune_fuzz::weights::tflite::read(bytes);
});
