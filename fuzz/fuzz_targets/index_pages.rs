#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| capturefile_fuzz::index_pages(data));
