//! Tables: state and event give the next state and the effect; state and time give the answer to a request.
//!
//! A state is written in three words: the token, the renewal, and `unsaved` if a token is not saved.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// The clocks that all rows begin with.
#[derive(Clone, Copy)]
struct Clocks {
    wall: SystemTime,
    now: Instant,
}

impl Clocks {
    fn new() -> Self {
        Self { wall: SystemTime::UNIX_EPOCH + 30_000_000 * 60 * SECOND, now: Instant::now() + 1_000 * SECOND }
    }

    /// Returns a token of 1000 seconds with this age: it ages at 800, and is over at 998.
    fn token(self, name: &str, age: u32) -> Token {
        Token::obtained(name.to_owned(), self.wall - age * SECOND).expires_in(1_000 * SECOND)
    }

    /// Returns the token in use, adopted a minute ago.
    fn active(self, age: u32, replaces_refused: bool, since: u32) -> Arc<ActiveToken> {
        let (token, value) = (self.token("A1", age).refreshed_by("R1"), HeaderValue::from_static("A1"));
        Arc::new(ActiveToken::new(token, SERIAL, value, replaces_refused, self.now - since * SECOND))
    }

    fn state(self, text: &str) -> TokenState {
        let mut words = text.split(' ');
        let mut state = TokenState::new(Ahead::default(), None);
        state.serial = SERIAL;
        state.active = match words.next().unwrap() {
            "empty" => Active::Empty,
            "given" => Active::Given(self.token("G", 0)),
            "fresh" => Active::Valid(self.active(0, false, 60)),
            "aging" => Active::Valid(self.active(900, false, 60)),
            "expired" => Active::Valid(self.active(1_000, false, 60)),
            "refused" => Active::Refused(self.active(0, false, 60)),
            // It came after a 401, a moment ago.
            "second" => Active::Valid(self.active(0, true, 29)),
            "second-accepted" => {
                let active = self.active(0, true, 29);
                active.accept();
                Active::Valid(active)
            }
            "second-later" => Active::Valid(self.active(0, true, 30)),
            word => panic!("{word}"),
        };
        let error = Error::new(ErrorKind::TokenUnavailable, "down").with_retry_after(Some(300 * SECOND));
        state.renewal = match words.next().unwrap() {
            "idle" => TokenRenewal::Idle,
            "refreshing" => TokenRenewal::Refreshing(Refresh::new().1),
            "resting" => TokenRenewal::Resting { until: self.now + SECOND, error },
            "rested" => TokenRenewal::Resting { until: self.now, error },
            word => panic!("{word}"),
        };
        state.unsaved = words.next().map(|_| self.token("A2", 0));
        state
    }

    fn event(self, text: &str) -> TokenEvent {
        let failed = |kind| Error::new(kind, "no");
        let adopted =
            |token: Token| TokenEvent::Adopted { token, value: HeaderValue::from_static("A2"), wall: self.wall };
        match text {
            "begun" => TokenEvent::Begun(Refresh::new().1),
            "logout" => TokenEvent::LogoutBegun(Refresh::new().1),
            "received" => TokenEvent::Received(self.token("A2", 0)),
            "saved" => TokenEvent::Saved,
            "adopted" => adopted(self.token("A2", 0).refreshed_by("R2")),
            "adopted expired" => adopted(self.token("A2", 1_000).refreshed_by("R2")),
            "401" => TokenEvent::Refused { serial: SERIAL },
            "401 to the one before" => TokenEvent::Refused { serial: SERIAL - 1 },
            "ended" => TokenEvent::Ended,
            "failed" => TokenEvent::Failed(failed(ErrorKind::TokenUnavailable)),
            "failed for good" => TokenEvent::Failed(failed(ErrorKind::TokenRefused)),
            "failed for 300 s" => {
                TokenEvent::Failed(failed(ErrorKind::TokenUnavailable).with_retry_after(Some(300 * SECOND)))
            }
            "failed for ever" => {
                TokenEvent::Failed(failed(ErrorKind::TokenUnavailable).with_retry_after(Some(FURTHEST + SECOND)))
            }
            "broke off" => TokenEvent::BrokeOff,
            _ => panic!("{text}"),
        }
    }

    /// Returns the state in words: the token with its refresh token, the renewal with its rest, the unsaved token.
    fn shown(self, state: &TokenState) -> String {
        let named = |token: &Token| match token.expose_refresh() {
            Some(refresh) => format!("{}/{refresh}", token.expose()),
            None => token.expose().to_owned(),
        };
        let active = match &state.active {
            Active::Empty => "empty".to_owned(),
            Active::Given(token) => format!("given {}", named(token)),
            Active::Valid(active) => format!("{} by {:?}", named(&active.token), active.value),
            Active::Refused(active) => format!("refused {}", named(&active.token)),
        };
        let renewal = match &state.renewal {
            TokenRenewal::Idle => "idle".to_owned(),
            TokenRenewal::Refreshing(_) => "refreshing".to_owned(),
            TokenRenewal::Resting { until, .. } => format!("rests {:?}", *until - self.now),
        };
        let unsaved = state.unsaved.as_ref().map(|token| format!(", unsaved {}", named(token))).unwrap_or_default();
        format!("{active}, {renewal}{unsaved}").replace('"', "")
    }
}

#[test]
fn an_event_leads_to_a_state_and_an_effect() {
    for (before, event, after, effect) in [
        // A refresh, from its beginning to each of its ends.
        ("empty idle", "begun", "empty, refreshing", "None"),
        ("empty rested", "begun", "empty, refreshing", "None"),
        ("aging idle unsaved", "begun", "A1/R1 by A1, refreshing, unsaved A2", "None"),
        ("refused refreshing", "received", "refused A1/R1, refreshing, unsaved A2", "None"),
        ("refused refreshing unsaved", "saved", "refused A1/R1, refreshing", "None"),
        ("empty refreshing", "adopted", "A2/R2 by A2, refreshing", "None"),
        ("given refreshing", "adopted", "A2/R2 by A2, refreshing", "None"),
        ("aging refreshing unsaved", "adopted", "A2/R2 by A2, refreshing", "Replaced"),
        ("refused refreshing", "adopted", "A2/R2 by A2, refreshing", "Replaced"),
        ("fresh refreshing", "ended", "A1/R1 by A1, idle", "None"),
        ("aging refreshing unsaved", "ended", "A1/R1 by A1, idle, unsaved A2", "None"),
        // A token that comes expired: its refresh token counts, beside an access token that is still good.
        ("aging refreshing", "adopted expired", "A1/R2 by A1, refreshing", "Replaced"),
        ("expired refreshing", "adopted expired", "A2/R2 by A2, refreshing", "Replaced"),
        ("refused refreshing", "adopted expired", "A2/R2 by A2, refreshing", "Replaced"),
        ("empty refreshing", "adopted expired", "A2/R2 by A2, refreshing", "None"),
        // Failures leave the tokens as they are.
        ("aging refreshing", "failed", "A1/R1 by A1, rests 1s", "None"),
        ("aging refreshing unsaved", "failed", "A1/R1 by A1, rests 1s, unsaved A2", "None"),
        ("given refreshing", "failed", "given G, rests 1s", "None"),
        ("refused refreshing", "failed for good", "refused A1/R1, rests 60s", "None"),
        ("empty refreshing", "failed for 300 s", "empty, rests 300s", "None"),
        ("empty refreshing", "failed for ever", "empty, rests 1s", "None"),
        ("empty refreshing unsaved", "broke off", "empty, rests 0ns, unsaved A2", "None"),
        // A 401.
        ("fresh idle", "401", "refused A1/R1, idle", "Retry"),
        ("aging refreshing", "401", "refused A1/R1, refreshing", "Retry"),
        ("fresh resting unsaved", "401", "refused A1/R1, rests 1s, unsaved A2", "Retry"),
        ("refused idle", "401", "refused A1/R1, idle", "Retry"),
        ("fresh idle", "401 to the one before", "A1/R1 by A1, idle", "Retry"),
        ("second idle", "401 to the one before", "A1/R1 by A1, idle", "Retry"),
        ("second idle", "401", "A1/R1 by A1, idle", "GiveUp"),
        ("second-accepted idle", "401", "refused A1/R1, idle", "Retry"),
        ("second-later idle", "401", "refused A1/R1, idle", "Retry"),
        ("empty refreshing", "401", "empty, refreshing", "Retry"),
        // A logout forgets every token, and a rest.
        ("aging idle unsaved", "logout", "empty, refreshing", "Forgotten"),
        ("given resting", "logout", "empty, refreshing", "Forgotten"),
        ("refused idle", "logout", "empty, refreshing", "Forgotten"),
    ] {
        let clocks = Clocks::new();
        let mut state = clocks.state(before);
        let found = state.next(clocks.event(event), clocks.now);
        let found = format!("{found:?}").split('(').next().unwrap().to_owned();
        assert_eq!((clocks.shown(&state).as_str(), found.as_str()), (after, effect), "{before}, {event}");
    }
}

#[test]
fn a_request_uses_the_token_or_waits_or_fails_or_begins_a_refresh() {
    for (token, [idle, refreshing, resting, rested]) in [
        ("empty", ["refresh", "wait", "fail 1s", "refresh"]),
        ("given", ["refresh", "wait", "fail 1s", "refresh"]),
        ("fresh", ["use", "use", "use", "use"]),
        ("aging", ["use and refresh", "use", "use", "use and refresh"]),
        ("expired", ["refresh", "wait", "fail 1s", "refresh"]),
        ("refused", ["refresh", "wait", "fail 1s", "refresh"]),
    ] {
        for (renewal, expected) in
            [("idle", idle), ("refreshing", refreshing), ("resting", resting), ("rested", rested)]
        {
            // A token that is not saved is used by nobody.
            for unsaved in ["", " unsaved"] {
                let clocks = Clocks::new();
                let state = clocks.state(&format!("{token} {renewal}{unsaved}"));
                let found = match state.access(clocks.wall, clocks.now) {
                    Access::Use(_) => "use".to_owned(),
                    Access::Refresh(None) => "refresh".to_owned(),
                    Access::Refresh(Some(_)) => "use and refresh".to_owned(),
                    Access::Wait(_) => "wait".to_owned(),
                    Access::Fail(error) => format!("fail {:?}", error.retry_after().unwrap()),
                };
                assert_eq!(found, expected, "{token} {renewal}{unsaved}");
                let is_usable = matches!(token, "fresh" | "aging");
                assert_eq!(state.is_usable(clocks.wall), is_usable, "{token}");
                assert_eq!(state.is_good(SERIAL, clocks.wall), is_usable, "{token}");
                assert!(!state.is_good(SERIAL - 1, clocks.wall), "{token}");
            }
        }
    }
}

#[test]
fn rests_double_up_to_a_minute_and_begin_anew_after_a_token_that_is_good() {
    let rests = |events: &[&str]| {
        let clocks = Clocks::new();
        let mut state = clocks.state("empty idle");
        let seconds = events.iter().filter_map(|event| {
            state.next(clocks.event("begun"), clocks.now);
            state.next(clocks.event(event), clocks.now);
            if event.starts_with("adopted") {
                state.next(clocks.event("ended"), clocks.now);
            }
            match &state.renewal {
                TokenRenewal::Resting { until, .. } => Some((*until - clocks.now).as_secs()),
                _ => None,
            }
        });
        seconds.collect::<Vec<_>>()
    };
    assert_eq!(rests(&["failed"; 8]), [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(rests(&["broke off"; 8]), [0, 1, 2, 4, 8, 16, 32, 60]);
    assert_eq!(rests(&["failed", "failed", "adopted", "failed"]), [1, 2, 1]);
    assert_eq!(rests(&["failed", "failed", "adopted expired", "failed"]), [1, 2, 4]);
    assert_eq!(rests(&["failed for good", "failed", "broke off"]), [60, 2, 2]);
}

#[test]
fn the_next_fetch_begins_with_the_latest_token_and_a_stored_one_counts_only_where_it_is_later() {
    let clocks = Clocks::new();
    for (text, latest, given) in [
        ("empty idle", None, None),
        ("given idle", Some("G"), Some("G")),
        ("given idle unsaved", Some("A2"), None),
        ("fresh idle", Some("A1"), None),
        ("refused idle", Some("A1"), None),
        ("refused idle unsaved", Some("A2"), None),
    ] {
        let state = clocks.state(text);
        assert_eq!((state.latest().map(Token::expose), state.given().map(Token::expose)), (latest, given), "{text}");
    }
    let aging = clocks.state("aging idle");
    assert!(aging.is_before(&clocks.token("B", 900)) && !aging.is_before(&clocks.token("B", 901)));
    assert!(!aging.is_before(&clocks.token("A1", 0).refreshed_by("R1")), "the same token, with its times rounded");
    assert!(clocks.state("given idle").is_before(&clocks.token("B", 999)));
}

const SERIAL: u64 = 7;
