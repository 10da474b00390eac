//! Makes the crate's `sync` take its threads, locks and atomics from the scheduler.

fn main() {
    println!("cargo::rustc-cfg=shuttle");
    println!("cargo::rustc-check-cfg=cfg(shuttle)");
    println!("cargo::rerun-if-changed=build.rs");
}
