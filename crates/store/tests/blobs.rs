//! Blobs from many threads, large ones as a stream, nothing half written.

use std::io::Read;
use store::blobs::Blobs;

fn files_in(folder: &std::path::Path) -> usize {
    let entries = std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries.map(|path| if path.is_dir() { files_in(&path) } else { 1 }).sum()
}

#[test]
fn the_same_content_from_many_threads_is_one_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = Blobs::open(folder.path()).expect("opened");
    let content = vec![7; 300_000];
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (blobs, content) = (&blobs, &content);
            scope.spawn(move || {
                for _ in 0..5 {
                    let key = if thread % 2 == 0 {
                        blobs.put_bytes(content).expect("kept")
                    } else {
                        blobs.put_reader(&mut content.as_slice()).expect("kept").0
                    };
                    assert_eq!(blobs.read(&key, 300_000).expect("whole"), *content);
                }
            });
        }
    });
    assert_eq!(files_in(folder.path()), 1);
}

#[test]
fn a_large_stream_is_kept_and_read_in_pieces() {
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = Blobs::open(folder.path()).expect("opened");
    let bytes = 20 << 20;
    let (key, size) = blobs.put_reader(&mut std::io::repeat(b'x').take(bytes)).expect("kept");
    assert_eq!(size, bytes);
    let mut file = blobs.open_read(&key).expect("opened");
    let mut start = [0; 4];
    file.read_exact(&mut start).expect("read");
    assert_eq!(&start, b"xxxx");
}

#[test]
fn a_stream_that_breaks_leaves_nothing() {
    struct Broken;
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> std::io::Result<usize> {
            Err(std::io::Error::other("the connection was lost"))
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let blobs = Blobs::open(folder.path()).expect("opened");
    assert!(blobs.put_reader(&mut b"a beginning".chain(Broken)).is_err());
    assert_eq!(files_in(folder.path()), 0);
}
