#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| capturefile_fuzz::operate_3(data));
