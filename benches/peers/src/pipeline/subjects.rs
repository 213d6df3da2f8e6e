//! The subjects: bare reqwest first, to which all others are compared.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use governor::{DefaultDirectRateLimiter, Quota};
use http::{HeaderMap, HeaderValue, header};
use reqwest::redirect::Policy;
use reqwest_middleware::ClientWithMiddleware;
use reqwest_retry::RetryTransientMiddleware;
use reqwest_retry::policies::ExponentialBackoff;

use super::Subject;
use super::ask::Ask;
use crate::Failure;

pub(super) fn subjects(url: &str) -> Result<Vec<Subject>, Failure> {
    #[cfg_attr(not(feature = "longhaul"), expect(unused_mut, reason = "nothing is added"))]
    let mut subjects =
        vec![Subject::new("reqwest", Bare::new(url)?), Subject::new("reqwest-middleware", Layered::new(url)?)];
    #[cfg(feature = "longhaul")]
    {
        use longhaul::Credential;
        subjects.push(Subject::new("longhaul", own::Longhaul::new(url, Credential::bearer(TOKEN))?));
        let source = Credential::source(own::Constant);
        subjects.push(Subject::new("longhaul, Credential::source", own::Longhaul::new(url, source)?));
    }
    Ok(subjects)
}

/// So many in a second that nothing waits.
const PLENTY: NonZeroU32 = NonZeroU32::new(100_000_000).unwrap();

const TOKEN: &str =
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiJmYXJtIn0.k1Yk2Qn0m9vJ4Wb7c3x5Zt6Rr8Pp0Ll2Dd4Ff6Hh8Jj";

/// Reqwest alone. It sends what all others send.
#[derive(Clone)]
struct Bare {
    client: reqwest::Client,
    url: Arc<str>,
}

impl Bare {
    fn new(url: &str) -> Result<Self, Failure> {
        let mut token = HeaderValue::try_from(format!("Bearer {TOKEN}"))?;
        token.set_sensitive(true);
        let client = reqwest::Client::builder()
            .redirect(Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .no_proxy()
            .connect_timeout(Duration::from_secs(10))
            .user_agent("longhaul/0.1.0")
            .default_headers(HeaderMap::from_iter([(header::AUTHORIZATION, token)]))
            .build()?;
        Ok(Self { client, url: url.into() })
    }
}

impl Ask for Bare {
    async fn ask(&self) -> Result<Bytes, Failure> {
        Ok(self.client.get(&*self.url).send().await?.error_for_status()?.bytes().await?)
    }
}

/// Reqwest-middleware with reqwest-retry, and governor before each request.
#[derive(Clone)]
struct Layered {
    client: ClientWithMiddleware,
    limiter: Arc<DefaultDirectRateLimiter>,
    url: Arc<str>,
}

impl Layered {
    fn new(url: &str) -> Result<Self, Failure> {
        let Bare { client, url } = Bare::new(url)?;
        let retries = ExponentialBackoff::builder().build_with_max_retries(3);
        let client = reqwest_middleware::ClientBuilder::new(client)
            .with(RetryTransientMiddleware::new_with_policy(retries))
            .build();
        let limiter = Arc::new(DefaultDirectRateLimiter::direct(Quota::per_second(PLENTY)));
        Ok(Self { client, limiter, url })
    }
}

impl Ask for Layered {
    async fn ask(&self) -> Result<Bytes, Failure> {
        self.limiter.until_ready().await;
        Ok(self.client.get(&*self.url).send().await?.error_for_status()?.bytes().await?)
    }
}

/// Longhaul as it comes, with one limit and a credential.
#[cfg(feature = "longhaul")]
mod own {
    use futures::future::BoxFuture;
    use http::Method;
    use longhaul::credentials::{Token, TokenEndpoint, TokenError, TokenSource};
    use longhaul::{Client, Credential, Limit};

    use super::{Arc, Ask, Bytes, Failure, PLENTY, TOKEN};

    #[derive(Clone)]
    pub(super) struct Longhaul {
        client: Client,
        path: Arc<str>,
    }

    impl Longhaul {
        pub(super) fn new(url: &str, credential: Credential) -> Result<Self, Failure> {
            let (base, path) = url.rsplit_once('/').ok_or("no path")?;
            let client = Client::builder(base)
                .no_proxy()
                .limit(Limit::per_second(PLENTY.get()))
                .credential(credential)
                .build()?;
            Ok(Self { client, path: path.into() })
        }
    }

    impl Ask for Longhaul {
        async fn ask(&self) -> Result<Bytes, Failure> {
            Ok(self.client.request(Method::GET, &*self.path).send().await?.bytes().await?)
        }
    }

    /// A token that is fetched once, and never ends.
    pub(super) struct Constant;

    impl TokenSource for Constant {
        fn fetch<'a>(&'a self, _: Option<&'a Token>, _: &'a TokenEndpoint) -> BoxFuture<'a, Result<Token, TokenError>> {
            Box::pin(async { Ok(Token::new(TOKEN)) })
        }
    }
}
