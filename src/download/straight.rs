//! Straight: one connection, from the first byte to the last.
//!
//! For an object of unknown length, a storage without ranges, and one that could not prove that the rest of a broken
//! transfer fits.

use std::sync::Arc;

use tokio::time::Instant;

use super::disk::Lane;
use super::job::{Ended, Job, ONE_BUFFER};
use super::reader::{Piece, Reader};
use crate::error::Error;

/// Fetches with one connection.
pub(super) async fn fetch(job: &Job<'_>, mut reader: Reader) -> Result<Ended, Error> {
    let mut lane = Lane::new(Arc::clone(job.disk), ONE_BUFFER);
    let mut saved = job.first_save();
    job.connected(1);
    loop {
        let piece = {
            let mut next = std::pin::pin!(reader.next());
            loop {
                tokio::select! {
                    biased;
                    piece = &mut next => break piece,
                    // What came is not held back while the storage pauses.
                    () = tokio::time::sleep_until(saved), if saved > Instant::now() || !lane.is_empty() => {
                        lane.flush().await.map_err(|error| job.refused(error))?;
                        job.disk.keep_in_background();
                        saved = job.next_save();
                    }
                }
            }
        };
        match piece {
            Ok(Piece::Chunk(chunk)) => {
                let at = reader.offset() - chunk.len() as u64;
                job.received(&chunk).await;
                lane.write(at, &chunk).await.map_err(|error| job.refused(error))?;
                if saved <= Instant::now() {
                    lane.flush().await.map_err(|error| job.refused(error))?;
                    job.disk.keep_in_background();
                    saved = job.next_save();
                }
            }
            Ok(Piece::End) => {
                lane.end().await.map_err(|error| job.refused(error))?;
                job.count(&reader);
                return Ok(Ended::Whole { total: reader.offset() });
            }
            Ok(Piece::Restart | Piece::NoRanges | Piece::NotModified) => {
                job.disk.discard_buffers();
                return Ok(Ended::Anew(Box::new(reader)));
            }
            Err(error) => {
                job.count(&reader);
                return Err(error);
            }
        }
    }
}
