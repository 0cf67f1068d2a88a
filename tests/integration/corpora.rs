//! The committed inputs of the fuzz targets, run once each by the same bodies, without cargo-fuzz.

#![forbid(unsafe_code)]

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::fs;
use std::panic::catch_unwind;

#[test]
fn every_target_holds_on_its_corpus() {
    let corpora = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fuzz/corpus");
    for (name, body) in bodies::BODIES {
        let mut inputs = 0;
        for entry in fs::read_dir(format!("{corpora}/{name}")).expect(name) {
            let path = entry.expect("an entry").path();
            let bytes = fs::read(&path).expect("an input");
            assert!(catch_unwind(|| body(&bytes)).is_ok(), "{name} fails on {}", path.display());
            inputs += 1;
        }
        assert!(inputs > 3, "{name} has {inputs} inputs");
    }
    let directories = fs::read_dir(corpora).expect("a directory").count();
    assert_eq!(directories, bodies::BODIES.len(), "a corpus without a target");
}
