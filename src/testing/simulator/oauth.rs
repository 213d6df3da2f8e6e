//! The token origin: grants and revocation of OAuth 2.0, and the login of SMAG.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use http::header::{CACHE_CONTROL, CONTENT_TYPE, PRAGMA, WWW_AUTHENTICATE};
use http::request::Parts;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use serde_json::{Value, json};

use super::answer::Answer;
use super::api::pause;
use super::service::{Service, State};
use super::tasks::uid;
use crate::testing::grant::{Grant, Refusal};
use crate::testing::seen::Side;
use crate::testing::server::Body;
use crate::testing::tokens::{Login, Tokens, unix};
use crate::testing::trouble::TokenTrouble;

/// Answers one request, unless a configured failure applies.
pub(super) async fn answer(service: Arc<Service>, request: Request<Incoming>) -> io::Result<Response<Body>> {
    let delay = service.knobs.token_latency;
    pause(delay / 2).await;
    let (parts, body) = request.into_parts();
    let (entry, refusal) = arrive(&service, &parts);
    let body = Limited::new(body, LONGEST_BODY).collect().await;
    pause(delay / 2).await;

    let end = match (refusal, body) {
        (Some(refusal), _) => End::Answer(refusal),
        (None, Err(_)) => End::Answer(Answer::error(StatusCode::PAYLOAD_TOO_LARGE, "Request body is too long.")),
        (None, Ok(body)) => handle(&service, &parts, &body.to_bytes()),
    };
    let mut response = match end {
        End::Answer(answer) => answer.into_response(&uid()),
        End::Page(status) => page(status),
        End::Hang => pending().await,
        End::Cut => return Err(io::ErrorKind::ConnectionAborted.into()),
    };
    // RFC 6749, 5.1.
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.headers_mut().insert(PRAGMA, HeaderValue::from_static("no-cache"));
    service.state().answered(entry, response.status());
    Ok(response)
}

/// The outcome of a request.
enum End {
    Answer(Answer),
    /// HTML.
    Page(StatusCode),
    Hang,
    Cut,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Route {
    Token,
    Revoke,
    Login,
    /// A refresh in SMAG's way.
    Refresh,
}

impl Route {
    fn of(path: &str) -> Option<Self> {
        match path {
            TOKEN => Some(Self::Token),
            REVOKE => Some(Self::Revoke),
            LOGIN => Some(Self::Login),
            REFRESH => Some(Self::Refresh),
            _ => None,
        }
    }
}

/// Counts a request at the moment of its arrival, and refuses it if it comes too soon or the endpoint is not enabled.
fn arrive(service: &Service, parts: &Parts) -> (usize, Option<Answer>) {
    let state = &mut *service.state();
    let now = Instant::now();
    let entry = service.enter(state, Side::Token, parts, now);
    state.counts.token_requests += 1;
    let not_found = || Some(Answer::error(StatusCode::NOT_FOUND, "Resource not found."));
    let Some(tokens) = &mut state.tokens else { return (entry, not_found()) };
    if let Err(denied) = service.access.check_at_tokens(&parts.headers) {
        return (entry, Some(Answer::denied(denied)));
    }
    let refusal = match (Route::of(parts.uri.path()), &parts.method) {
        (None, _) => not_found(),
        (Some(_), &Method::POST) => tokens.windows.admit(now).err().map(|wait| {
            state.counts.tokens_throttled += 1;
            Answer::throttled(wait, service.knobs.refusal_hint)
        }),
        (Some(_), _) => Some(Answer::disallowed("POST")),
    };
    (entry, refusal)
}

fn handle(service: &Service, parts: &Parts, body: &[u8]) -> End {
    let state = &mut *service.state();
    let Some(route) = Route::of(parts.uri.path()) else { return End::Hang };
    if route == Route::Revoke {
        return End::Answer(revoke(service, state, parts, body));
    }
    let trouble = state.tokens.as_mut().and_then(|tokens| tokens.trouble.pop_front());
    let answer = match trouble {
        Some(TokenTrouble::NotJson) => return End::Page(StatusCode::OK),
        Some(TokenTrouble::Status(status)) => return End::Page(status),
        Some(TokenTrouble::Hang) => return End::Hang,
        Some(TokenTrouble::NoToken) => Answer::new(StatusCode::OK, json!({})),
        Some(TokenTrouble::Denied(status, error)) => Answer::new(status, json!({ "error": error })),
        Some(TokenTrouble::Wait(status, wait)) => Answer::error(status, "The server is busy.").retry_after(wait),
        Some(TokenTrouble::Redirect) => {
            let elsewhere = format!("{}{TOKEN}", service.storage_origin);
            Answer::new(StatusCode::TEMPORARY_REDIRECT, json!({})).location(&elsewhere)
        }
        Some(TokenTrouble::Lost) => {
            grant(service, state, route, parts, body, Expiry::True);
            return End::Cut;
        }
        Some(TokenTrouble::NoExpiry) => grant(service, state, route, parts, body, Expiry::None),
        Some(TokenTrouble::ExpiresIn(seconds)) => grant(service, state, route, parts, body, Expiry::In(seconds)),
        Some(TokenTrouble::ExpiresInText(seconds)) => {
            grant(service, state, route, parts, body, Expiry::InText(seconds))
        }
        None => grant(service, state, route, parts, body, Expiry::True),
    };
    End::Answer(answer)
}

/// How a token states its expiry.
#[derive(Clone, Copy, Debug)]
enum Expiry {
    True,
    None,
    In(i64),
    InText(i64),
}

impl Expiry {
    /// Returns `expires_in`: whole seconds, rounded down, and at least one.
    fn relative(self, life: Duration) -> Option<Value> {
        match self {
            Self::True => Some(json!(life.as_secs().max(1))),
            Self::None => None,
            Self::In(seconds) => Some(json!(seconds)),
            Self::InText(seconds) => Some(json!(seconds.to_string())),
        }
    }

    /// Returns the `exp` of a JWT.
    fn absolute(self, life: Duration, now: SystemTime) -> Option<Value> {
        #[expect(clippy::cast_precision_loss, reason = "a test that says more than 285 million years is beyond us")]
        let seconds_from_now = |seconds: i64| unix(now) + seconds as f64;
        match self {
            Self::True => now.checked_add(life).map(|at| json!(unix(at))),
            Self::None => None,
            Self::In(seconds) => Some(json!(seconds_from_now(seconds))),
            Self::InText(seconds) => Some(json!(seconds_from_now(seconds).to_string())),
        }
    }
}

fn grant(service: &Service, state: &mut State, route: Route, parts: &Parts, body: &[u8], expiry: Expiry) -> Answer {
    let access = &service.access;
    let asked = match route {
        Route::Refresh => Grant::of_refresh(&parts.headers, body),
        Route::Login => Grant::of_login([&access.client_id, &access.user, &access.password], body),
        Route::Token | Route::Revoke => {
            Grant::of_form(|id| access.secret_of(id), &parts.headers, body).map(|(_, grant)| grant)
        }
    };
    let Some(tokens) = &mut state.tokens else { return refused(Refusal::ServerError) };
    let now = Instant::now();
    let allowed = asked.and_then(|grant| Ok((login(tokens, &grant, now).ok_or(Refusal::InvalidGrant)?, grant)));
    let (login, asked) = match allowed {
        Ok(allowed) => allowed,
        Err(refusal) if matches!(route, Route::Login | Route::Refresh) => {
            return Answer::error(refusal.status(), refusal.code());
        }
        Err(refusal) => return refused(refusal),
    };
    match asked {
        Grant::Refresh { .. } => state.counts.refreshes += 1,
        Grant::Client | Grant::Code { .. } | Grant::Password => state.counts.logins += 1,
    }
    let life = tokens.life();
    if matches!(route, Route::Login | Route::Refresh) {
        let expiry = expiry.absolute(life, SystemTime::now());
        let token = tokens.jwt(login, &access.user, expiry, now);
        let refresh = tokens.renewable(login);
        let user = json!({ "Token": token, "Refresh_Token": refresh, "UserId": access.user, "Identity": {} });
        return Answer::new(StatusCode::OK, user);
    }
    let mut body = json!({ "access_token": tokens.opaque(login, now), "token_type": "Bearer" });
    let members = [
        ("expires_in", expiry.relative(life)),
        (
            "refresh_token",
            (!matches!(asked, Grant::Client) || service.knobs.refreshable).then(|| json!(tokens.renewable(login))),
        ),
    ];
    if let Some(body) = body.as_object_mut() {
        body.extend(members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    Answer::new(StatusCode::OK, body)
}

fn login(tokens: &mut Tokens, grant: &Grant, now: Instant) -> Option<Login> {
    match grant {
        Grant::Client | Grant::Password => Some(tokens.log_in()),
        Grant::Refresh { token } => tokens.spend(token),
        Grant::Code { code, redirect_uri, verifier } => tokens.redeem(code, redirect_uri, verifier, now),
    }
}

/// Handles a revocation. An unknown token counts as revoked (RFC 7009, 2.2).
fn revoke(service: &Service, state: &mut State, parts: &Parts, body: &[u8]) -> Answer {
    let token = match Grant::token_to_revoke(|id| service.access.secret_of(id), &parts.headers, body) {
        Ok(token) => token,
        Err(refusal) => return refused(refusal),
    };
    state.counts.revocations += 1;
    if let Some(tokens) = &mut state.tokens {
        tokens.revoke(&token);
    }
    Answer::new(StatusCode::OK, json!({}))
}

fn refused(refusal: Refusal) -> Answer {
    let answer = Answer::new(refusal.status(), json!({ "error": refusal.code() }));
    match refusal {
        Refusal::InvalidClient => answer.header(WWW_AUTHENTICATE, "Basic realm=\"oauth\""),
        _ => answer,
    }
}

fn page(status: StatusCode) -> Response<Body> {
    let body = Full::from("<html><body>Something is here, and it is no token.</body></html>");
    let mut response = Response::new(body.map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}

pub(super) const TOKEN: &str = "/oauth/token";
pub(super) const REVOKE: &str = "/oauth/revoke";
pub(super) const LOGIN: &str = "/authentication";
pub(super) const REFRESH: &str = "/authentication-operational/v1/api/oauth2/refresh_token";
const LONGEST_BODY: usize = 64 * 1024;
