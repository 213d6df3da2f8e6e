//! A fleet: several processes with one store, each a client with a credential and a handle of its own.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use futures::future::join_all;
use longhaul::ErrorKind;
use longhaul::credentials::{ExclusiveStore, MemoryStore, RefreshLease, RefreshTurn, Replaced, StoredToken};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

use super::*;

/// A process's way to the store that all share.
#[derive(Clone, Default)]
struct Handle {
    store: MemoryStore,
    /// Whether the store is away for this process.
    is_away: Arc<AtomicBool>,
    /// Whether this process is stopped: each of its calls waits.
    is_stopped: Arc<AtomicBool>,
    goes_on: Arc<Notify>,
    is_deaf: bool,
    takeovers: Arc<AtomicUsize>,
    /// The store once its data is lost.
    lost: Arc<Mutex<Option<MemoryStore>>>,
}

impl Handle {
    fn beside(other: &Self) -> Self {
        Self {
            store: other.store.clone(),
            takeovers: other.takeovers.clone(),
            lost: other.lost.clone(),
            is_deaf: other.is_deaf,
            ..Self::default()
        }
    }

    fn stop(&self) {
        self.is_stopped.store(true, SeqCst);
    }

    fn go_on(&self) {
        self.is_stopped.store(false, SeqCst);
        self.goes_on.notify_waiters();
    }

    fn is_away(&self, is_away: bool) {
        self.is_away.store(is_away, SeqCst);
    }

    /// Returns the store, if it can be reached.
    async fn reached(&self) -> Result<MemoryStore, StoreError> {
        while self.is_stopped.load(SeqCst) {
            self.goes_on.notified().await;
        }
        if self.is_away.load(SeqCst) {
            return Err("the database is down".into());
        }
        Ok(self.lost.lock().unwrap().clone().unwrap_or_else(|| self.store.clone()))
    }

    async fn kept(&self) -> Option<String> {
        self.store.load().await.unwrap().map(|token| token.expose().to_owned())
    }
}

impl CredentialStore for Handle {
    fn load(&self) -> BoxFuture<'_, Result<Option<Token>, StoreError>> {
        Box::pin(async { self.reached().await?.load().await })
    }

    fn save(&self, token: Option<Token>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async { self.reached().await?.save(token).await })
    }

    fn exclusive(&self) -> Option<&dyn ExclusiveStore> {
        Some(self)
    }
}

impl ExclusiveStore for Handle {
    fn read(&self) -> BoxFuture<'_, Result<StoredToken, StoreError>> {
        Box::pin(async { ExclusiveStore::read(&self.reached().await?).await })
    }

    fn replace(&self, generation: u64, token: Option<Token>) -> BoxFuture<'_, Result<Replaced, StoreError>> {
        Box::pin(async move { ExclusiveStore::replace(&self.reached().await?, generation, token).await })
    }

    fn lock(&self, owner: Arc<str>, time: Duration) -> BoxFuture<'_, Result<RefreshTurn, StoreError>> {
        Box::pin(async move {
            let turn = ExclusiveStore::lock(&self.reached().await?, owner, time).await?;
            if format!("{turn:?}").contains("is_takeover: true") {
                self.takeovers.fetch_add(1, SeqCst);
            }
            Ok(turn)
        })
    }

    fn renew(&self, lease: RefreshLease, time: Duration) -> BoxFuture<'_, Result<bool, StoreError>> {
        Box::pin(async move { ExclusiveStore::renew(&self.reached().await?, lease, time).await })
    }

    fn release(&self, lease: RefreshLease) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(async move { ExclusiveStore::release(&self.reached().await?, lease).await })
    }

    fn changed(&self) -> BoxFuture<'_, ()> {
        if self.is_deaf { Box::pin(std::future::pending()) } else { ExclusiveStore::changed(&self.store) }
    }
}

/// So many processes that share a store with this token, the first of them first.
async fn fleet(service: &Service, count: usize, token: Token, is_deaf: bool) -> (Vec<Handle>, Vec<Client>) {
    let first = Handle { is_deaf, ..Handle::default() };
    first.store.save(Some(token)).await.unwrap();
    let handles: Vec<_> = (0..count).map(|at| if at == 0 { first.clone() } else { Handle::beside(&first) }).collect();
    let clients = handles.iter().map(|handle| service.client(user().store(handle.clone()))).collect();
    (handles, clients)
}

/// The tokens that the API was shown, without the refused.
fn api_tokens(service: &Service) -> Vec<String> {
    service.at("/v1/farms").iter().map(|asked| asked.token().to_owned()).collect()
}

async fn all_farms(clients: &[Client]) {
    for answer in join_all(clients.iter().map(farms)).await {
        answer.unwrap();
    }
}

/// As [`rotating`], with answers that take this long.
fn slow(pause: Duration) -> Service {
    let issues = rotating();
    endpoint(move |asked| (issues.answer)(asked).after(pause))
}

#[tokio::test(start_paused = true)]
async fn eight_processes_refresh_a_token_once() {
    for is_deaf in [false, true] {
        // Expired, and aging: there the old one is used meanwhile.
        for (left, used) in [(Duration::ZERO, "A1"), (MINUTE, "A0")] {
            let service = slow(20 * SECOND);
            let (handles, clients) = fleet(&service, 8, old("A0", left), is_deaf).await;
            all_farms(&clients).await;
            assert_eq!(api_tokens(&service), [used; 8]);
            join_all(clients.iter().map(Client::settle)).await;
            assert_eq!(service.shown(), ["R0"]);
            all_farms(&clients).await;
            assert_eq!(api_tokens(&service)[8..], ["A1"; 8]);
            assert_eq!((handles[7].kept().await.as_deref(), service.fetches()), (Some("A1"), 1));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_token_of_a_program_is_fetched_once() {
    let service = endpoint(|asked| token(&format!("A{}", asked.nth), "R", 3600).after(SECOND));
    let first = Handle::default();
    let clients: Vec<_> = (0..8).map(|_| service.client(program().store(Handle::beside(&first)))).collect();
    all_farms(&clients).await;
    assert_eq!((service.fetches(), api_tokens(&service)), (1, vec!["A0".to_owned(); 8]));
}

#[tokio::test(start_paused = true)]
async fn a_slow_refresh_keeps_its_lock() {
    let service = rotating();
    // Three attempts that hang, and their pauses.
    let issues = rotating();
    let hangs = AtomicUsize::new(0);
    let service = Service {
        answer: Arc::new(move |asked| {
            if !asked.is_for_token() {
                return reply(200);
            }
            if hangs.fetch_add(1, SeqCst) < 3 {
                return reply(200).after(HOUR);
            }
            (issues.answer)(&Asked { nth: asked.nth - 3, ..asked.clone() })
        }),
        ..service
    };
    let (handles, clients) = fleet(&service, 8, spent(), false).await;
    let begun = Instant::now();
    all_farms(&clients).await;
    assert!(begun.elapsed() > 90 * SECOND);
    assert_eq!((service.shown(), handles[0].takeovers.load(SeqCst)), (vec!["R0".to_owned(); 4], 0));
}

/// A service of which each refresh token is good once, and the way of one process to it.
#[derive(Clone)]
struct Login {
    shown: Arc<Mutex<Vec<String>>>,
    rotated: Arc<AtomicUsize>,
    process: Handle,
    /// Whether the process is stopped before the service is asked, and not before the answer is read.
    is_early: bool,
}

impl TokenSource for Login {
    fn fetch<'a>(
        &'a self,
        before: Option<&'a Token>,
        endpoint: &'a TokenEndpoint,
    ) -> BoxFuture<'a, Result<Token, TokenError>> {
        Box::pin(async move {
            if self.is_early {
                sleep(2 * SECOND).await;
                self.process.reached().await.map(drop).map_err(TokenError::failed)?;
            }
            let refresh = before.and_then(Token::expose_refresh).unwrap_or_default().to_owned();
            self.shown.lock().unwrap().push(refresh.clone());
            let nth = self.rotated.load(SeqCst);
            if refresh != format!("R{nth}") {
                return Err(TokenError::needs_login("it is spent"));
            }
            self.rotated.store(nth + 1, SeqCst);
            if !self.is_early {
                sleep(2 * SECOND).await;
                self.process.reached().await.map(drop).map_err(TokenError::failed)?;
            }
            let token = endpoint.token(format!("A{}", nth + 1)).refreshed_by(format!("R{}", nth + 1));
            Ok(token.expires_in(HOUR))
        })
    }
}

/// Eight processes, the first of which is stopped in its refresh.
async fn stopped(is_early: bool, is_deaf: bool) -> (Service, Vec<Login>, Vec<Client>) {
    let service = service(|_| reply(200));
    let (handles, _) = fleet(&service, 8, spent(), is_deaf).await;
    let (shown, rotated): (Arc<Mutex<Vec<_>>>, Arc<AtomicUsize>) = Default::default();
    let login = |process| Login { shown: shown.clone(), rotated: rotated.clone(), process, is_early };
    let logins: Vec<_> = handles.into_iter().map(login).collect();
    let credential = |login: &Login| Credential::stored_source(login.clone(), login.process.clone());
    let clients: Vec<_> = logins.iter().map(|login| service.builder(credential(login)).build().unwrap()).collect();
    let first = clients[0].clone();
    tokio::spawn(async move { farms(&first).await });
    sleep(SECOND).await;
    logins[0].process.stop();
    (service, logins, clients)
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_in_a_refresh_is_followed_by_one() {
    for is_deaf in [false, true] {
        let (service, logins, clients) = stopped(true, is_deaf).await;
        let begun = Instant::now();
        all_farms(&clients[1..]).await;
        let waited = begun.elapsed();
        assert!(58 * SECOND < waited && waited < 63 * SECOND, "{waited:?}");
        assert_eq!((logins[0].shown.lock().unwrap().len(), logins[0].process.takeovers.load(SeqCst)), (1, 1));
        assert_eq!(api_tokens(&service), ["A1"; 7]);
    }
}

/// Lets the first process go on after so long.
fn goes_on(login: &Login, after: Duration) {
    let process = login.process.clone();
    tokio::spawn(async move {
        sleep(after).await;
        process.go_on();
    });
}

#[tokio::test(start_paused = true)]
async fn a_late_process_saves_the_only_valid_token_over_the_lock_of_another() {
    let (service, logins, clients) = stopped(false, false).await;
    goes_on(&logins[0], 75 * SECOND);
    all_farms(&clients).await;
    // Another has shown it, in vain, and has waited for the late one.
    assert_eq!(
        (&**logins[0].shown.lock().unwrap(), logins[0].process.takeovers.load(SeqCst)),
        (&["R0", "R0"].map(str::to_owned)[..], 1)
    );
    assert_eq!(api_tokens(&service), ["A1"; 9]);
    let kept = logins[7].process.store.load().await.unwrap().unwrap();
    assert_eq!(kept.expose_refresh(), Some("R1"));
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_later_still_mends_the_login_of_all() {
    let (service, logins, clients) = stopped(false, false).await;
    for answer in join_all(clients[1..].iter().map(farms)).await {
        assert!(answer.unwrap_err().needs_login());
    }
    logins[0].process.go_on();
    sleep(2 * MINUTE).await;
    all_farms(&clients).await;
    assert_eq!(logins[7].process.kept().await.as_deref(), Some("A1"));
    assert_eq!(api_tokens(&service), ["A1"; 9]);
}

#[tokio::test(start_paused = true)]
async fn a_late_process_takes_the_token_that_another_has_saved() {
    // A service that accepts a refresh token several times.
    let service =
        endpoint(|asked| token(&format!("A{}", asked.nth), &format!("R{}", asked.nth), 36_000).after(2 * SECOND));
    let (handles, clients) = fleet(&service, 2, spent(), false).await;
    let late = clients[0].clone();
    let late = tokio::spawn(async move { farms(&late).await });
    sleep(SECOND).await;
    handles[0].stop();
    farms(&clients[1]).await.unwrap();
    assert_eq!(service.last_token(), "A1");
    handles[0].go_on();
    late.await.unwrap().unwrap();
    assert_eq!((service.last_token().as_str(), handles[0].kept().await.as_deref()), ("A1", Some("A1")));
    assert_eq!(service.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_an_older_generation_refreshes_nothing() {
    // The second client's clock is right, or a minute ahead, or behind: its tokens were then obtained "before" those
    // that they replace.
    for skew in [0, 60, -60_i64] {
        let issues = rotating();
        let service = service(move |asked| match asked.is_for_token() {
            true => (issues.answer)(asked),
            false => reply(if asked.token() == "A1" && asked.nth >= 2 { 401 } else { 200 }),
        });
        let (_, clients) = fleet(&service, 1, spent(), false).await;
        let first = Handle::default();
        first.store.save(Some(spent())).await.unwrap();
        drop(clients);
        let one = service.client(user().store(first.clone()));
        let wall = if skew < 0 { start() - MINUTE } else { start() + SECOND * u32::try_from(skew).unwrap() };
        let other = service.builder(Credential::oauth(user().store(Handle::beside(&first))));
        let other = other.clock(Clock::starting_at(wall)).build().unwrap();
        // Both use A1.
        farms(&one).await.unwrap();
        farms(&other).await.unwrap();
        assert_eq!(service.fetches(), 1);
        // From now on A1 is refused: the other refreshes.
        farms(&other).await.unwrap();
        assert_eq!((service.last_token().as_str(), service.fetches()), ("A2", 2), "{skew}");
        farms(&one).await.unwrap();
        assert_eq!((service.last_token().as_str(), service.fetches()), ("A2", 2), "{skew}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_begins_without_its_store_refreshes_nothing() {
    let service = rotating();
    let (handles, clients) = fleet(&service, 2, spent(), false).await;
    handles[0].is_away(true);
    let error = farms(&clients[0]).await.unwrap_err();
    assert_eq!((error.kind(), service.fetches()), (ErrorKind::Store, 0), "{error}");
    handles[0].is_away(false);
    sleep(2 * SECOND).await;
    farms(&clients[0]).await.unwrap();
    assert_eq!(service.shown(), ["R0"]);
}

#[tokio::test(start_paused = true)]
async fn an_aging_token_is_used_while_the_store_is_away_and_refreshed_when_it_is_back() {
    let service = rotating();
    let (handles, clients) = fleet(&service, 2, old("A0", 10 * MINUTE), false).await;
    all_farms(&clients).await;
    sleep(6 * MINUTE).await;
    handles[0].is_away(true);
    for _ in 0..3 {
        farms(&clients[0]).await.unwrap();
        sleep(MINUTE).await;
    }
    assert_eq!((service.fetches(), service.last_token().as_str()), (0, "A0"));
    sleep(2 * MINUTE).await;
    let error = farms(&clients[0]).await.unwrap_err();
    assert_eq!((error.kind(), service.fetches()), (ErrorKind::Store, 0), "{error}");
    assert!(error.to_string().contains("not refreshed"), "{error}");
    // The other process is not cut off.
    farms(&clients[1]).await.unwrap();
    handles[0].is_away(false);
    sleep(2 * MINUTE).await;
    farms(&clients[0]).await.unwrap();
    assert_eq!((service.shown(), service.last_token().as_str()), (vec!["R0".to_owned()], "A1"));
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_for_a_save_loses_no_token() {
    // Back within the time of the lock, and only later.
    for (away, is_kept) in [(20 * SECOND, true), (5 * MINUTE, false)] {
        let service = slow(2 * SECOND);
        let (handles, clients) = fleet(&service, 8, spent(), false).await;
        let first = clients[0].clone();
        let first = tokio::spawn(async move { farms(&first).await });
        sleep(SECOND).await;
        handles.iter().for_each(|handle| handle.is_away(true));
        let handles_back = handles.clone();
        tokio::spawn(async move {
            sleep(away).await;
            handles_back.iter().for_each(|handle| handle.is_away(false));
        });
        assert_eq!(first.await.unwrap().is_ok(), is_kept);
        sleep(away + MINUTE).await;
        all_farms(&clients).await;
        assert_eq!((service.shown(), handles[0].kept().await.as_deref()), (vec!["R0".to_owned()], Some("A1")));
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_dropped_leaves_its_refresh_to_all() {
    let service = slow(10 * SECOND);
    let (_, clients) = fleet(&service, 2, spent(), true).await;
    assert!(tokio::time::timeout(SECOND, farms(&clients[0])).await.is_err());
    farms(&clients[1]).await.unwrap();
    assert_eq!(service.shown(), ["R0"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_gives_the_lock_to_the_next() {
    let first = Handle::default();
    let service = endpoint(|_| unreachable!("the source asks nobody"));
    let panics = service.builder(Credential::stored_source(own(|_, _| panic!("the source panics")), first.clone()));
    let works = own(|_, endpoint| Ok(endpoint.token("A1").expires_in(HOUR)));
    let works = service.builder(Credential::stored_source(works, Handle::beside(&first))).build().unwrap();
    assert_eq!(farms(&panics.build().unwrap()).await.unwrap_err().kind(), ErrorKind::TokenUnavailable);
    let begun = Instant::now();
    farms(&works).await.unwrap();
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
    assert_eq!(first.takeovers.load(SeqCst), 0);
}

#[test]
fn a_runtime_that_ends_gives_the_lock_to_the_same_process_at_once() {
    let issues = rotating();
    let service = endpoint(move |asked| match asked.nth {
        0 => reply(200).after(HOUR),
        nth => (issues.answer)(&Asked { nth: nth - 1, ..asked.clone() }),
    });
    // On the real clock: a paused one is another for each runtime.
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let first = runtime();
    let (handles, clients) = first.block_on(fleet(&service, 1, spent(), false));
    first.block_on(async {
        let mut asks = std::pin::pin!(farms(&clients[0]));
        while service.fetches() == 0 {
            tokio::select! {
                answer = &mut asks => panic!("{answer:?}"),
                () = tokio::task::yield_now() => {}
            }
        }
    });
    drop(first);
    let answer = runtime().block_on(async { tokio::time::timeout(MINUTE / 2, farms(&clients[0])).await });
    answer.expect("before the end of the lock").unwrap();
    assert_eq!((service.last_token().as_str(), handles[0].takeovers.load(SeqCst)), ("A1", 0));
}

#[tokio::test(start_paused = true)]
async fn a_logout_of_another_process_is_not_undone() {
    let service = slow(10 * SECOND);
    let (handles, clients) = fleet(&service, 2, spent(), false).await;
    let (refreshed, ()) = tokio::join!(farms(&clients[0]), async {
        sleep(SECOND).await;
        clients[1].revoke().await.unwrap();
    });
    let error = refreshed.unwrap_err();
    assert!(error.to_string().contains("another process logged out"), "{error}");
    assert_eq!(handles[0].kept().await, None);
}

#[tokio::test(start_paused = true)]
async fn a_login_of_another_process_is_not_undone() {
    let service = slow(10 * SECOND);
    let (handles, clients) = fleet(&service, 2, spent(), false).await;
    let (refreshed, ()) = tokio::join!(farms(&clients[0]), async {
        sleep(SECOND).await;
        handles[1].store.save(Some(old("BOB", HOUR))).await.unwrap();
    });
    refreshed.unwrap();
    assert_eq!((service.last_token().as_str(), handles[0].kept().await.as_deref()), ("BOB", Some("BOB")));
}

#[tokio::test(start_paused = true)]
async fn a_store_without_its_data_gets_the_token_that_a_process_has() {
    for is_lost_in_refresh in [false, true] {
        let service = slow(10 * SECOND);
        let (handles, clients) = fleet(&service, 1, old("A0", 10 * MINUTE), false).await;
        farms(&clients[0]).await.unwrap();
        sleep(8 * MINUTE).await;
        let lose = || *handles[0].lost.lock().unwrap() = Some(MemoryStore::new());
        if !is_lost_in_refresh {
            lose();
        }
        // It begins in the background.
        farms(&clients[0]).await.unwrap();
        sleep(SECOND).await;
        lose();
        clients[0].settle().await;
        farms(&clients[0]).await.unwrap();
        assert_eq!((service.last_token().as_str(), service.shown()), ("A1", vec!["R0".to_owned()]));
        let kept = handles[0].reached().await.unwrap().load().await.unwrap();
        assert_eq!(kept.unwrap().expose_refresh(), Some("R1"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_given_token_is_refreshed_once_for_all() {
    let service = slow(SECOND);
    let first = Handle::default();
    let given = || user().token(spent()).store(Handle::beside(&first));
    let clients: Vec<_> = (0..8).map(|_| service.client(given())).collect();
    all_farms(&clients).await;
    assert_eq!((service.shown(), api_tokens(&service)), (vec!["R0".to_owned()], vec!["A1".to_owned(); 8]));
}
