//! Bodies that come in pieces: of answers for tokens, and of those that an envelope looks into.

use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use longhaul::http::Body;
use longhaul::protocols::Source;
use longhaul::retries::EnvelopeRule;
use longhaul::{ErrorKind, Profile};

use super::*;

/// Answers everything with 200 and a body that comes in these pieces.
#[derive(Clone)]
struct Pieces {
    headers: HeaderMap,
    pieces: fn() -> BoxStream<'static, Bytes>,
}

impl Http for Pieces {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let body = Body::stream((self.pieces)().map(Ok));
        let response = Response::new(StatusCode::OK, request.url().clone()).headers_from(self.headers.clone());
        Box::pin(std::future::ready(Ok(response.body_from(body))))
    }
}

fn pieces(header: Option<(&'static str, &str)>, pieces: fn() -> BoxStream<'static, Bytes>) -> Pieces {
    let headers = header.into_iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()));
    Pieces { headers: headers.collect(), pieces }
}

/// A brace, and then a blank every four seconds, without an end.
fn trickle() -> BoxStream<'static, Bytes> {
    let first = futures::stream::iter([Bytes::from_static(b"{")]);
    let rest = futures::stream::unfold((), async |()| {
        tokio::time::sleep(4 * SECOND).await;
        Some((Bytes::from_static(b" "), ()))
    });
    first.chain(rest).boxed()
}

/// A client that looks into answers for a refusal.
fn looking(http: &Pieces) -> Client {
    let refusal = EnvelopeRule::reads_as(429, Source::pointer("/Code"), ["429"]);
    let builder = script([]).client().http(http.clone()).profile(Profile::auto().envelope(refusal));
    builder.build().unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_answer_for_a_token_that_trickles_is_no_answer() {
    let client = script([]).client().http(pieces(None, trickle)).credential(Credential::oauth(program()));
    let client = client.build().unwrap();
    let error = tokio::time::timeout(HOUR, farms(&client)).await.expect("it ends").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TokenUnavailable);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_envelope_by_its_headers_is_not_waited_for() {
    for header in [("content-type", "text/event-stream"), ("content-length", "65537")] {
        let client = looking(&pieces(Some(header), trickle));
        let begun = tokio::time::Instant::now();
        let mut response = client.request(Method::GET, "farms").send().await.unwrap();
        assert_eq!(begun.elapsed(), Duration::ZERO, "{header:?}");
        assert_eq!(response.chunk().await.unwrap().unwrap(), "{");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_in_the_headers_counts_beside_one_in_the_envelope() {
    let limited = json!({"Code": 429, "Error": "RATE_LIMITING"});
    let answers = [reply(429).header("retry-after", "30").json(limited), reply(200).json(json!({"Code": 0}))];
    let service = script(answers);
    let profile = Profile::auto()
        .envelope(EnvelopeRule::reads_as(429, Source::pointer("/Code"), ["429"]))
        .envelope(EnvelopeRule::reads_as(400, Source::pointer("/Code"), ["0"]).unless());
    let client = service.client().profile(profile).build().unwrap();
    assert_eq!(farms(&client).await.unwrap(), StatusCode::OK);
    assert!(service.gaps()[0] >= 30 * SECOND, "{:?}", service.gaps());
}

#[tokio::test]
async fn a_body_of_single_bytes_is_read_once() {
    let bytes = || {
        let bytes = (0..60_000).map(|at| Bytes::from_static(if at == 0 { b"{" } else { b" " }));
        futures::stream::iter(bytes).boxed()
    };
    let client = looking(&pieces(None, bytes));
    let begun = std::time::Instant::now();
    let body = client.request(Method::GET, "farms").send().await.unwrap().bytes().await.unwrap();
    assert_eq!(body.len(), 60_000);
    assert!(begun.elapsed() < 10 * SECOND, "{:?}", begun.elapsed());
}
