//! A file as an answer's body, read piece by piece, so that a large attachment costs a piece of memory and no more.

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use std::fs::File;
use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::task::JoinHandle;

/// Bytes read at once: a balance of thread hops against memory for each open download.
const PIECE_BYTES: u64 = 256 << 10;

/// The file, standing behind the bytes that were read.
type Piece = (File, Vec<u8>);

/// A file that is sent from where it stands, at most `rest` bytes.
pub(crate) struct FileBody {
    file: Option<File>,
    /// A piece being read on a thread that may wait for the disk.
    reading: Option<JoinHandle<io::Result<Piece>>>,
    rest: u64,
}

impl FileBody {
    pub(crate) fn of(file: File, size_bytes: u64) -> FileBody {
        FileBody { file: Some(file), reading: None, rest: size_bytes }
    }
}

impl Body for FileBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.rest == 0 {
            return Poll::Ready(None);
        }
        if let Some(file) = self.file.take() {
            let length = self.rest.min(PIECE_BYTES);
            self.reading = Some(tokio::task::spawn_blocking(move || read_piece(file, length)));
        }
        let Some(reading) = self.reading.as_mut() else { return Poll::Ready(None) };
        let done = ready!(Pin::new(reading).poll(cx));
        self.reading = None;
        match done.map_err(io::Error::other).flatten() {
            Ok((file, piece)) if !piece.is_empty() => {
                self.rest = self.rest.saturating_sub(piece.len() as u64);
                self.file = Some(file);
                Poll::Ready(Some(Ok(Frame::data(piece.into()))))
            }
            // Shorter than promised: the connection must break, or the client would take the part for the whole.
            Ok(_) => Poll::Ready(Some(Err(io::ErrorKind::UnexpectedEof.into()))),
            Err(error) => Poll::Ready(Some(Err(error))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.rest == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest)
    }
}

fn read_piece(mut file: File, length: u64) -> io::Result<Piece> {
    let mut piece = Vec::with_capacity(length as usize);
    (&mut file).take(length).read_to_end(&mut piece)?;
    Ok((file, piece))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Seek, Write};

    async fn sent(content: &[u8], size_bytes: u64) -> Result<usize, axum::Error> {
        let mut file = tempfile::tempfile().expect("a temporary file");
        file.write_all(content).expect("the file is written");
        file.rewind().expect("the file is rewound");
        let body = axum::body::Body::new(FileBody::of(file, size_bytes));
        Ok(axum::body::to_bytes(body, usize::MAX).await?.len())
    }

    #[tokio::test]
    async fn a_file_is_sent_whole_and_a_short_one_breaks_off() {
        let content = vec![7; 600 << 10];
        assert_eq!(sent(&content, 600 << 10).await.expect("sent"), 600 << 10);
        assert_eq!(sent(&[], 0).await.expect("sent"), 0);
        assert!(sent(&content, 700 << 10).await.is_err());
    }
}
