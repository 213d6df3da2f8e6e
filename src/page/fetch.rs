//! Fetching one page: follows redirects, and repeats the request if the page breaks off.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, Method, header};
use url::Url;

use crate::error::{Error, ErrorKind};
use crate::message::{Priority, Reply, Request, Response};
use crate::protocol::{NoPage, Page, PageRule, join};
use crate::transport::{Breaks, Sending, Transport};

/// The settings of requests for pages.
#[derive(Clone)]
pub(crate) struct PageSource {
    pub(crate) transport: Arc<Transport>,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) class: Priority,
}

pub(super) struct Fetched {
    pub(super) page: Page,
    /// The URL of the page, after redirects.
    pub(super) at: Url,
    /// Whether a foreign origin led to the page, or served it: the URLs that the page names are requested without a
    /// credential.
    pub(super) is_bare: bool,
}

enum Answered {
    /// A complete page, and how long it asks to wait.
    Whole(Box<Reply>, Option<Duration>),
    /// A page whose body broke off.
    Broken(Error),
}

impl PageSource {
    /// Returns the complete page at a URL; the request carries no credential if a foreign origin named the page. `held`
    /// is an answer that was already received.
    pub(super) async fn page(
        &self,
        rule: &PageRule,
        url: &Url,
        held: Option<Reply>,
        is_bare: bool,
    ) -> Result<Fetched, Error> {
        let request = Request::new(self.method.clone(), url.clone(), self.class).with_headers(self.headers.clone());
        let mut breaks = Breaks::of(&self.transport, &request, false, None);
        let mut held = held.map(|reply| Answered::Whole(Box::new(reply), None));
        loop {
            // Each attempt starts like the first, whatever the redirects of an earlier attempt led to.
            let mut led = is_bare;
            let answered = match held.take() {
                Some(answered) => answered,
                None => self.ask(request.clone(), &mut led).await?,
            };
            let (error, hint) = match answered {
                Answered::Whole(reply, hint) => match rule.read(&reply, url) {
                    Ok(page) => {
                        breaks.end();
                        if rule.passes_next_over(&reply) {
                            let url = crate::redact::shown(reply.url());
                            tracing::warn!(
                                url,
                                "the page names a next page in the header Link, which the rule does not read: set \
                                 PageRule::next(Next::link())"
                            );
                        }
                        let named_here = led || !self.transport.trust.is_own(reply.url());
                        let is_bare = if page.is_next_asked { is_bare } else { named_here };
                        return Ok(Fetched { page, at: reply.url().clone(), is_bare });
                    }
                    Err(NoPage::Passing(why)) => (no_page(&why, &reply), hint),
                    Err(NoPage::Lasting(why)) => return Err(no_page(&why, &reply)),
                },
                Answered::Broken(error) => (error, None),
            };
            let Some(pause) = breaks.next(hint) else { return Err(error.with_attempts(breaks.attempts())) };
            tokio::time::sleep(pause).await;
        }
    }

    /// Checks whether an answer may lead to a URL; the error states why not. No answer may lead from https to http,
    /// except to the client's own origin, which the application chose.
    pub(super) fn leads(&self, from: &Url, to: &Url) -> Result<(), Error> {
        let trust = &self.transport.trust;
        if trust.is_own(to) { Ok(()) } else { trust.leads(from, to) }
    }

    async fn ask(&self, mut request: Request, is_bare: &mut bool) -> Result<Answered, Error> {
        for _ in 0..=MAX_HOPS {
            // At each hop, the transport decides on trust, and on the headers that may be sent.
            request = request.bare(*is_bare);
            let response = Sending::of(&self.transport, &request).call().await?;
            *is_bare |= !self.transport.trust.is_own(response.url());
            let Some(to) = redirect(&response)? else { return held(response).await };
            if to == *response.url() {
                return Err(misled("the page redirects to itself", &response));
            }
            self.leads(response.url(), &to)?;
            let keeps_method = matches!(response.status().as_u16(), 307 | 308);
            if *request.method() != Method::GET && keeps_method && !self.transport.trust.is_own(&to) {
                return Err(misled("the page redirects to another origin, where only a GET may go", &response));
            }
            if !keeps_method {
                request = Request::new(Method::GET, to, self.class).with_headers(self.headers.clone());
            } else {
                request = request.with_url(to);
            }
        }
        let message = format!("more than {MAX_HOPS} redirects in a row lead to the page");
        Err(Error::new(ErrorKind::ResultUnavailable, message).with_url(request.url()))
    }
}

async fn held(response: Response) -> Result<Answered, Error> {
    let (hint, limit) = (response.hint(), response.limit());
    if response.content_length().is_none_or(|length| length <= limit as u64) {
        match response.reply().await {
            Ok(reply) if reply.is_whole() => return Ok(Answered::Whole(Box::new(reply), hint)),
            Ok(reply) => return Err(too_large(limit, reply.url())),
            Err(error) => return Ok(Answered::Broken(error)),
        }
    }
    Err(too_large(limit, response.url()))
}

/// Returns the target of a redirect; `None` for any other answer.
fn redirect(response: &Response) -> Result<Option<Url>, Error> {
    if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
        return Ok(None);
    }
    let location = response.headers().get(header::LOCATION).and_then(|to| std::str::from_utf8(to.as_bytes()).ok());
    let to = location.ok_or_else(|| "there is no Location".to_owned()).and_then(|to| join(response.url(), to));
    to.map(Some).map_err(|why| misled(&format!("the page redirects, and its Location cannot be used: {why}"), response))
}

fn misled(why: &str, response: &Response) -> Error {
    Error::new(ErrorKind::ResultUnavailable, why).with_url(response.url()).with_status(response.status())
}

fn no_page(why: &str, reply: &Reply) -> Error {
    Error::new(ErrorKind::ResultUnavailable, reply.mask().hide(why)).with_url(reply.url()).with_status(reply.status())
}

fn too_large(limit: usize, url: &Url) -> Error {
    let message = format!(
        "a page is larger than the client's body limit of {limit} bytes: request smaller pages, or raise \
                 ClientBuilder::body_limit"
    );
    Error::new(ErrorKind::TooLarge, message).with_url(url)
}

/// As for polls: more redirects than any service needs.
const MAX_HOPS: u8 = 10;
