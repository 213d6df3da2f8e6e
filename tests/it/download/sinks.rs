//! Memory, writers, streams, and the progress of each.

use super::*;

#[tokio::test(start_paused = true)]
async fn memory_has_a_limit_that_a_stated_length_meets_at_once() {
    let client = |answer| script([answer]).client().build().unwrap();
    assert_eq!(client(whole(TEN_BYTES)).download(LINK).to_memory(10).await.unwrap(), TEN_BYTES);
    for answer in [whole(TEN_BYTES), part("0-9/10", TEN_BYTES)] {
        let error = client(answer).download(LINK).to_memory(9).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TooLarge);
        assert!(error.to_string().contains("more than the 9 bytes"), "{error}");
    }
    let store = Store::new(vec![7; 1_000_000]);
    let error = store.client().download(LINK).to_memory(999_999).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert_eq!((store.asked().len(), store.sent()), (1, CHUNK));
}

#[tokio::test(start_paused = true)]
async fn a_writer_gets_all_in_order_and_is_flushed() {
    let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
    let mut writer = Picky::default();
    let receipt = service.client().build().unwrap().download(LINK).to_writer(&mut writer).await.unwrap();
    assert_eq!((receipt.bytes(), receipt.reopened()), (10, 1));
    assert_eq!((writer.taken, writer.flushed), (TEN_BYTES.to_vec(), true));
}

#[tokio::test(start_paused = true)]
async fn a_writer_that_refuses_ends_it_with_its_own_error() {
    let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
    let mut writer = Picky { room: Some(4), ..Picky::default() };
    let error = service.client().build().unwrap().download(LINK).to_writer(&mut writer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Io);
    assert!(error.to_string().contains("no room"), "{error}");
    let source = error.source().and_then(|source| source.downcast_ref::<io::Error>()).expect("the writer's error");
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(writer.taken, b"0123");
}

#[tokio::test(start_paused = true)]
async fn a_stream_asks_when_polled_and_ends_after_an_error() {
    let service = script([part("0-9/10", "0123").cut(), reply(404), whole(TEN_BYTES)]);
    let mut chunks = service.client().build().unwrap().download(LINK).stream();
    tokio::time::sleep(secs(60)).await;
    assert!(service.requests().is_empty());
    assert_eq!(chunks.next().await.unwrap().unwrap(), "0123");
    assert_eq!(chunks.next().await.unwrap().unwrap_err().kind(), ErrorKind::ResultUnavailable);
    assert!(chunks.next().await.is_none());
    assert_eq!(service.left(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stream_goes_on_after_a_wait_for_it_was_dropped() {
    let store = Store::new(TEN_BYTES).stalling_after([4]);
    let mut chunks = store.client().download(LINK).stream();
    assert_eq!(chunks.next().await.unwrap().unwrap(), "0123");
    let begun = Instant::now();
    assert!(tokio::time::timeout(secs(20), chunks.next()).await.is_err());
    assert_eq!(chunks.next().await.unwrap().unwrap(), "456789");
    // The idle timeout and the pause went on meanwhile.
    assert_eq!(begun.elapsed(), secs(30) + secs(1));
    assert_eq!(store.asked(), [0, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_progress_counts_bytes_and_ends_with_the_download() {
    for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
        let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
        let folder = Folder::new();
        let download = service.client().build().unwrap().download(LINK);
        let mut watch = download.progress();
        assert_eq!((watch.now().bytes(), watch.now().total()), (0, None));
        let counting = async {
            let mut seen = Vec::new();
            while let Some(progress) = watch.changed().await {
                seen.push((progress.bytes(), progress.total()));
            }
            seen
        };
        let (done, seen) = tokio::join!(sink.run(download, &folder), counting);
        done.unwrap();
        assert!(seen.contains(&(4, Some(10))), "{sink:?}: {seen:?}");
        assert_eq!(seen.last(), Some(&(10, Some(10))), "{sink:?}");
        assert!(seen.is_sorted(), "{sink:?}: {seen:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_progress_of_an_empty_object_says_so() {
    for sink in [Sink::File, Sink::Writer, Sink::Stream, Sink::Memory] {
        let service = script([reply(416).header("content-range", "bytes */0")]);
        let download = service.client().build().unwrap().download(LINK);
        let watch = download.progress();
        sink.run(download, &Folder::new()).await.unwrap();
        assert_eq!((watch.now().bytes(), watch.now().total()), (0, Some(0)), "{sink:?}");
    }
}

/// A writer that may have too little room.
#[derive(Default)]
struct Picky {
    room: Option<usize>,
    taken: Vec<u8>,
    flushed: bool,
}

impl AsyncWrite for Picky {
    fn poll_write(mut self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.room.is_some_and(|room| self.taken.len() + bytes.len() > room) {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::StorageFull, "no room")));
        }
        // As a pipe does, it takes less than it is given.
        let bytes = &bytes[..bytes.len().min(3)];
        self.taken.extend_from_slice(bytes);
        self.flushed = false;
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.flushed = true;
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        panic!("it is not ours to shut down");
    }
}
