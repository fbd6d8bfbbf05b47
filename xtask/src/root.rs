//! Where things stand: the checkout, its build folder, and the shared corpus beside it if it is there.

use std::path::PathBuf;

/// Returns the checkout's root folder.
pub fn root() -> PathBuf {
    let manifest = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().expect("xtask is a folder of the checkout").to_owned()
}

/// Returns the folder for what xtask installs and leaves behind; it may be deleted at any time.
pub fn work_dir() -> PathBuf {
    root().join("target/xtask")
}

/// Returns the folder of recorded requests, if this machine has it beside the checkout.
pub fn corpus() -> Option<PathBuf> {
    let folder = root().parent()?.join("shared/corpus/requests");
    folder.is_dir().then_some(folder)
}
