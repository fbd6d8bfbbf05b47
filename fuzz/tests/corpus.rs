//! Every kept input, through its target: what was mended stays mended.

use fuzz::{TARGETS, corpus};

#[test]
fn the_corpus_keeps_every_promise() {
    for target in TARGETS {
        let inputs = corpus::read(target.name).expect("every target has a corpus");
        assert!(!inputs.is_empty(), "{} has no inputs", target.name);
        for (name, input) in inputs {
            println!("{} {name}", target.name);
            (target.run)(&input);
        }
    }
}
