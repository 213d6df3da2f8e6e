//! Ask: one request, and its answer's whole body.

use bytes::Bytes;

use crate::Failure;

pub(super) trait Ask: Clone + Send + Sync + 'static {
    fn ask(&self) -> impl Future<Output = Result<Bytes, Failure>> + Send;
}
