//! Sets `cfg(shuttle)`, with which the crate's `sync` uses the threads, locks and atomics of the scheduler.

fn main() {
    println!("cargo::rustc-cfg=shuttle");
    println!("cargo::rustc-check-cfg=cfg(shuttle)");
    println!("cargo::rerun-if-changed=build.rs");
}
