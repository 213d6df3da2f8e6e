//! What a new user meets first: slips of the pen, and what is said of them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use futures::TryStreamExt;
use http::Method;
use longhaul::testing::{reply, script};
use longhaul::{
    Alert, AlertKind, Alerts, Blame, Class, Client, Clock, Credential, Error, ErrorKind, Keys, Limit, OAuth, PageRule,
    RetryPolicy, Scope, Severity, Source, Throttle,
};
use serde_json::{Value, json};

const fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

#[test]
fn a_route_that_could_match_nothing_is_refused_at_the_build() {
    for (pattern, named) in [
        ("GTE farms", "`GTE` is no method"),
        ("get farms", "`get` is no method"),
        ("POTS exports", "`POTS` is no method"),
        ("GET", "a method without a path: write the path behind it, such as `GET farms/*`"),
        ("DELETE ", "a method without a path"),
        ("https://api.example.com/farms", "without scheme and host"),
    ] {
        let limit = Limit::per_second(4).scope(Scope::route(pattern));
        let error = Client::builder("https://api.example.com/v1").limit(limit).build().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(named), "{pattern}: {error}");
    }
}

#[tokio::test(start_paused = true)]
async fn progress_is_kept_where_an_answer_does_not_name_it() {
    let at = |percent: Value| reply(200).json(json!({"status": "running", "percentComplete": percent}));
    let service = script([
        reply(202).header("location", "tasks/1"),
        at(json!(10)),
        reply(200).json(json!({"status": "running"})),
        reply(503),
        reply(0).lost(),
        at(json!(40)),
        at(json!(30)),
        at(Value::Null),
        reply(200).json(json!({"status": "succeeded", "result": 7})),
    ]);
    let client = service.client().build().unwrap();
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    let mut told = Vec::new();
    while let Some(update) = task.advance().await {
        told.push(update.unwrap().percent());
    }
    let percents =
        [None, Some(10.0), Some(10.0), Some(10.0), Some(10.0), Some(40.0), Some(30.0), Some(30.0), Some(100.0)];
    assert_eq!(told, percents);
    assert_eq!(task.await.unwrap().last_update().percent(), Some(100.0));
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_keeps_how_far_it_was() {
    let service = script([
        reply(202).header("location", "tasks/1"),
        reply(200).json(json!({"status": "running", "percentComplete": 70})),
        reply(200).json(json!({"status": "failed"})),
    ]);
    let client = service.client().build().unwrap();
    let error = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap_err();
    assert_eq!(error.last_update().unwrap().percent(), Some(70.0));
}

#[tokio::test(start_paused = true)]
async fn an_answer_of_a_path_is_given_to_that_path_alone() {
    let token = |text| reply(200).json(json!({"access_token": text, "expires_in": 100})).at("/token");
    let service =
        script([token("one"), reply(200).json(1), token("two"), reply(201).at("farms/7"), reply(200).json(2)]);
    let oauth = OAuth::client_credentials("https://login.example.com/token", "id", "secret");
    let client = service.client().credential(Credential::oauth(oauth)).build().unwrap();
    let ask = async |path: &str| client.request(Method::GET, path).send().await;
    assert_eq!(ask("farms").await.unwrap().json::<u32>().await.unwrap(), 1);
    tokio::time::sleep(secs(200)).await;
    // The refresh stands between the two, and takes none of their answers.
    assert_eq!(ask("farms?page=2").await.unwrap().json::<u32>().await.unwrap(), 2);
    assert_eq!(ask("farms/7?fresh").await.unwrap().status(), 201);
    assert_eq!(service.left(), 0);
    let paths: Vec<_> = service.requests().iter().map(|seen| seen.url().path().to_owned()).collect();
    assert_eq!(paths, ["/token", "/v1/farms", "/token", "/v1/farms", "/v1/farms/7"]);
    // A path of its own gets no other's answer.
    service.then(reply(200).json(3));
    let error = ask("farms/7").await.unwrap_err();
    assert_eq!(error.status().unwrap(), 501);
    assert_eq!(service.left(), 1);
    service.then(reply(202).at("/v1/farms/7"));
    assert_eq!(ask("farms/7").await.unwrap().status(), 202);
}

/// A port that answers everything with these bytes, and hangs up.
fn port(answer: &'static str) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    port
}

async fn asked(base: &str) -> Error {
    let client = Client::builder(base).retry(RetryPolicy::none()).no_proxy().build().unwrap();
    client.request(Method::GET, "farms").send().await.unwrap_err()
}

#[tokio::test]
async fn the_wrong_scheme_for_a_port_is_named() {
    const BAD: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    const NGINX: &str = "HTTP/1.1 400 Bad Request\r\ncontent-type: text/html\r\nconnection: close\r\n\r\n\
        <html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>";
    for (scheme, answer, named) in [
        ("https", BAD, "write http:// in place of https://"),
        ("https", "SSH-2.0-OpenSSH_9.6\r\n", "write http:// in place of https://"),
        // The alert of a TLS server.
        ("http", "\x15\x03\x01\x00\x02\x02\x46", "write https:// in place of http://"),
        ("http", "SSH-2.0-OpenSSH_9.6\r\n", "write https:// in place of http://"),
        ("http", "", "write https:// in place of http://"),
        ("http", NGINX, "write https:// in place of http://"),
    ] {
        let error = asked(&format!("{scheme}://127.0.0.1:{}", port(answer))).await;
        let text = error.to_string();
        assert!(text.contains(named) && !text.contains('\n'), "{scheme} {answer:?}: {text}");
    }
    let error = asked(&format!("http://127.0.0.1:{}", port(BAD))).await;
    assert!(!error.to_string().contains("https://"), "a plain 400 says nothing of it: {error}");

    // A host that takes connections is not waited for as one that is away.
    let policy = RetryPolicy::standard().schedule(longhaul::Schedule::constant(Duration::from_millis(1)));
    let base = format!("https://127.0.0.1:{}", port(BAD));
    let client = Client::builder(base).retry(policy).no_proxy().build().unwrap();
    let error = client.request(Method::GET, "farms").send().await.unwrap_err().to_string();
    assert!(error.contains("write http://") && !error.contains("took no connection"), "{error}");
}

#[tokio::test]
async fn a_port_where_nothing_listens_is_named_to_callers_tasks_and_downloads() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = asked(&base).await;
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("nothing listens there: look at host and port"), "{error}");
    let client = Client::builder(&base).retry(RetryPolicy::none()).no_proxy().build().unwrap();
    let error = client.task().post("exports").submit::<Value>().await.unwrap_err();
    assert!(error.to_string().contains("nothing listens there"), "{error}");
    // A poll that gave no answer is a warning, and the wait goes on.
    let accepted = "HTTP/1.1 202 Accepted\r\nlocation: /tasks/1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let serve = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = stream.write_all(accepted.as_bytes());
    });
    let client = Client::builder(base).no_proxy().build().unwrap();
    let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
    serve.join().unwrap();
    task.advance().await.unwrap().unwrap();
    task.handle().nudge();
    let update = task.advance().await.unwrap().unwrap();
    assert!(update.warning().unwrap().contains("nothing listens there"), "{update:?}");
}

#[tokio::test(start_paused = true)]
async fn a_path_that_has_left_the_base_is_named_where_nothing_is_there() {
    const LEFT: &str = "which leaves the base's `/v1`: write it without the `/`";
    for (path, status, named) in [
        ("/exports", 404, Some(LEFT)),
        ("/exports?size=1", 403, Some(LEFT)),
        ("/v2/exports", 405, Some(LEFT)),
        ("/exports", 409, None),
        ("/exports", 401, None),
        ("/v1/exports", 404, None),
        ("exports", 404, None),
        ("https://api.example.com/exports", 404, None),
        ("https://other.example.com/exports", 404, None),
    ] {
        let service = script([reply(status), reply(status)]);
        let client = service.client().retry(RetryPolicy::none()).build().unwrap();
        let call = client.request(Method::GET, path).send().await.unwrap_err();
        let submit = client.task().post(path).submit::<Value>().await.unwrap_err();
        for error in [call, submit] {
            let text = error.to_string();
            assert_eq!(text.contains("the base's"), named.is_some(), "{path} {status}: {text}");
            assert!(text.contains(named.unwrap_or_default()), "{path} {status}: {text}");
        }
    }
    // A page of the wrong place accepts everything, and a base without a path cannot be left.
    let service = script([reply(202).header("content-type", "text/html").body("<p>Welcome</p>"), reply(404)]);
    let client = service.client().build().unwrap();
    let error = client.task().post("/exports").submit::<Value>().await.unwrap_err();
    assert!(error.to_string().contains(LEFT), "{error}");
    let client = Client::builder("https://api.example.com").http(service).build().unwrap();
    let error = client.request(Method::GET, "/exports").send().await.unwrap_err();
    assert!(!error.to_string().contains("the base's"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn an_empty_path_is_refused_before_anything_is_sent() {
    let service = script([reply(200)]);
    let client = service.client().build().unwrap();
    for path in ["", " ", "\t"] {
        let call = client.request(Method::GET, path).send().await.unwrap_err();
        let submit = client.task().post(path).submit::<Value>().await.unwrap_err();
        let keys = client.keys(&Method::GET, path).unwrap_err();
        for error in [call, submit, keys] {
            assert_eq!(error.kind(), ErrorKind::Request);
            assert!(error.to_string().contains("for the base"), "{error}");
        }
    }
    assert!(client.task().submit::<Value>().await.unwrap_err().to_string().contains("post(\"exports\")"));
    assert!(service.requests().is_empty());
    client.request(Method::GET, ".").send().await.unwrap();
    assert_eq!(service.requests()[0].url().path(), "/v1/");
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named() {
    let folder = std::env::temp_dir().join(format!("longhaul-newcomer-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("file"), "").unwrap();
    let service = script([reply(200).body("bytes")]);
    let client = service.client().build().unwrap();
    let missing = folder.join("missing");
    for (target, named) in [
        (missing.join("farms.parquet"), format!("the folder {} does not exist", missing.display())),
        (missing.join("deep/farms.parquet"), format!("the folder {}/deep does not exist", missing.display())),
        (folder.join("file/farms.parquet"), format!("{}/file is a file, and no folder", folder.display())),
        (folder.clone(), "there is a folder of that name".to_owned()),
        (std::path::PathBuf::new(), "the path of the target is empty".to_owned()),
    ] {
        let error = client.download("https://store.example.net/7?sig=S").to_file(&target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains(&named), "{}: {error}", target.display());
    }
    assert!(service.requests().is_empty(), "nothing is fetched that cannot be kept");
    std::fs::remove_dir_all(folder).unwrap();
}

/// Polls a future to its end without a runtime, as another executor would.
fn outside<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    loop {
        if let std::task::Poll::Ready(done) = future.as_mut().poll(&mut cx) {
            return done;
        }
    }
}

fn no_runtime(error: &Error) {
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
    assert!(
        error.to_string().contains("no tokio runtime here") && error.to_string().contains("#[tokio::main]"),
        "{error}"
    );
}

#[test]
fn without_a_runtime_each_request_is_an_error_and_nothing_is_sent() {
    let service = script([reply(200), reply(200), reply(200)]);
    let client = service.client().build().unwrap();
    no_runtime(&outside(client.request(Method::GET, "farms").send()).unwrap_err());
    no_runtime(&outside(client.request(Method::GET, "farms").deadline(secs(5)).send()).unwrap_err());
    no_runtime(&outside(client.task().post("exports").submit::<Value>()).unwrap_err());
    no_runtime(&outside(client.task().post("exports").deadline(secs(5)).submit::<Value>()).unwrap_err());
    for link in ["https://store.example.net/7?sig=S", "https://api.example.com/v1/files/7"] {
        no_runtime(&outside(client.download(link).to_memory(10)).unwrap_err());
        no_runtime(&outside(client.download(link).to_file("/no/such/folder/7")).unwrap_err());
        no_runtime(&outside(client.download(link).stream().try_next()).unwrap_err());
    }
    outside(client.revoke()).unwrap_err();
    outside(client.settle());
    assert!(service.requests().is_empty());
}

#[test]
fn a_task_that_is_awaited_without_a_runtime_ends_with_a_token() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    let accepted = || reply(202).header("location", "tasks/1").header("retry-after", "60");
    let service = script([accepted(), accepted(), reply(200).json(7), reply(200).json(8)]);
    let client = service.client().build().unwrap();
    let submit = || client.task().post("exports").submit::<u32>();
    let (first, second) = runtime.block_on(async { (submit().await.unwrap(), submit().await.unwrap()) });
    let error = outside(first.into_future()).unwrap_err();
    no_runtime(&error);
    // A resume needs none, and the wait goes on where there is one.
    let resumed = client.resume::<u32>(error.token().unwrap().clone()).unwrap();
    assert_eq!(runtime.block_on(resumed.into_future()).unwrap().value().unwrap(), 7);
    // What is known already is told without one, and what has ended too.
    let mut second = second;
    assert!(outside(second.advance()).unwrap().is_ok());
    runtime.block_on(second.advance()).unwrap().unwrap();
    let outcome = outside(second.into_future()).unwrap();
    assert_eq!(outcome.value().unwrap(), 8);
    assert_eq!(outside(outcome.download().to_memory(10)).unwrap(), "8");
}

#[test]
fn a_free_permit_needs_no_runtime() {
    let throttle = Throttle::new();
    throttle.limit(Limit::per_minute(1)).unwrap();
    outside(throttle.acquire(Class::Call, &Keys::new())).unwrap().answered();
}

#[test]
#[should_panic(expected = "runtime")]
fn a_permit_that_is_waited_for_without_a_runtime_panics() {
    let throttle = Throttle::new();
    throttle.limit(Limit::per_minute(1)).unwrap();
    throttle.try_acquire(Class::Call, &Keys::new()).unwrap().answered();
    let _ = outside(throttle.acquire(Class::Call, &Keys::new()));
}

#[tokio::test(start_paused = true)]
async fn the_deadline_of_a_client_holds_for_each_task_that_has_none() {
    let running = || reply(200).header("retry-after", "60").json(json!({"status": "running"}));
    let accepted = || reply(202).header("location", "tasks/1").header("retry-after", "60");
    let answers = || [accepted()].into_iter().chain((0..9).map(|_| running())).chain([reply(200).json(7)]);
    let client = |service: &longhaul::testing::Script| service.client().task_deadline(secs(150)).build().unwrap();
    let waited = async |task: longhaul::Task<u32>| {
        let begun = tokio::time::Instant::now();
        (task.await.map(|outcome| outcome.value().unwrap()).map_err(|error| error.kind()), begun.elapsed())
    };

    let service = script(answers());
    let (end, took) = waited(client(&service).task().post("exports").submit().await.unwrap()).await;
    assert_eq!((end, took), (Err(ErrorKind::DeadlineExceeded), secs(120)), "the next poll would come after it");

    // One of its own wins, whether it is longer, shorter, or none; also where the client's could not be kept at all.
    for (own, end) in [(secs(1000), Ok(7)), (secs(61), Err(ErrorKind::DeadlineExceeded)), (Duration::MAX, Ok(7))] {
        let service = script(answers());
        let new = client(&service).task().post("exports").deadline(own);
        assert_eq!(waited(new.submit().await.unwrap()).await.0, end, "{own:?}");
        let service = script(answers());
        let short = service.client().task_deadline(secs(30)).build().unwrap();
        let task = short.task().post("exports").submit().await.unwrap().deadline(own);
        assert_eq!(waited(task).await.0, end, "{own:?}");
    }

    // A resumed task has it from its resume on.
    let service = script(answers());
    let client = client(&service);
    let task = client.task().post("exports").submit::<u32>().await.unwrap();
    let token = task.token();
    drop(task);
    tokio::time::advance(secs(1000)).await;
    assert_eq!(waited(client.resume(token.clone()).unwrap()).await.0, Err(ErrorKind::DeadlineExceeded));
    let service = script((0..9).map(|_| running()).chain([reply(200).json(7)]));
    let client = service.client().task_deadline(secs(150)).build().unwrap();
    assert_eq!(waited(client.resume(token).unwrap().deadline(secs(1000))).await.0, Ok(7));

    let error = Client::builder("https://api.example.com").task_deadline(Duration::ZERO).build().unwrap_err();
    assert!(error.to_string().contains("task_deadline(0ns)"), "{error}");
}

fn kinds(client: &Client) -> Vec<AlertKind> {
    client.stats().alerts().iter().map(Alert::kind).collect()
}

#[tokio::test(start_paused = true)]
async fn a_task_that_runs_for_long_is_reported_once_and_until_it_ends() {
    const HOUR: Duration = secs(60 * 60);
    let running = || reply(200).header("retry-after", "3600").json(json!({"status": "running"}));
    let submit = |id: &str| {
        reply(202).header("location", &format!("tasks/{id}")).header("retry-after", "3600").json(json!({"id": id}))
    };
    let service = script(
        [submit("t1").at("exports"), submit("t2").at("exports"), reply(200).json(7).at("tasks/t2")]
            .into_iter()
            .chain((0..29).map(|_| running().at("tasks/t1")))
            .chain([reply(200).json(7).at("tasks/t1")]),
    );
    let alerts = Alerts::none().running_for(24 * HOUR);
    let client = service.client().alerts(alerts).build().unwrap();
    let mut events = client.events();
    let mut long = client.task().post("exports").submit::<Value>().await.unwrap();
    client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    // The submit, and a poll an hour.
    for _ in 0..24 {
        long.advance().await.unwrap().unwrap();
    }
    assert_eq!((kinds(&client), client.summary().long_tasks().count()), (vec![], 0));
    long.advance().await.unwrap().unwrap();
    let stats = client.stats();
    let alert = &stats.alerts()[0];
    assert_eq!((alert.kind(), alert.severity()), (AlertKind::RunningForLong, Severity::Warning));
    assert_eq!(alert.about(), Some("t1"));
    assert_eq!(alert.text(), "the task `t1` has been running for 86400s");
    let token = long.token();
    for _ in 0..5 {
        long.advance().await.unwrap().unwrap();
    }
    let summary = client.summary();
    assert_eq!(summary.long_tasks().collect::<Vec<_>>(), [("t1", 29 * HOUR)]);
    assert!(summary.to_string().contains("tasks that run for long: 1\n  t1: for 104400s"), "{summary}");

    // A resumed task is as old as its submit, at the first poll already.
    let later = SystemTime::UNIX_EPOCH + secs(1_893_456_000) + 30 * HOUR;
    let other = script([running()]).client().clock(Clock::starting_at(later)).alerts(alerts).build().unwrap();
    let mut resumed = other.resume::<Value>(token).unwrap();
    resumed.advance().await.unwrap().unwrap();
    assert_eq!(other.summary().long_tasks().collect::<Vec<_>>(), [("t1", 30 * HOUR)]);
    assert_eq!(kinds(&other), [AlertKind::RunningForLong]);
    drop(resumed);

    long.await.unwrap();
    assert_eq!(client.summary().long_tasks().count(), 0);
    tokio::time::advance(secs(301)).await;
    assert_eq!(kinds(&client), []);
    let mut told = 0;
    while let Some(Some(event)) = futures::FutureExt::now_or_never(futures::StreamExt::next(&mut events)) {
        told +=
            usize::from(matches!(event, longhaul::Event::Alert(alert) if alert.kind() == AlertKind::RunningForLong));
    }
    assert_eq!(told, 1, "it is told once");
}

#[tokio::test(start_paused = true)]
async fn a_long_task_that_fails_stops_or_is_dropped_is_long_no_more() {
    let accepted = || reply(202).header("location", "tasks/1").header("retry-after", "100");
    let running = || reply(200).header("retry-after", "100").json(json!({"status": "running"}));
    for (end, dropped) in
        [(reply(200).json(json!({"status": "failed"})), false), (reply(404), false), (running(), true)]
    {
        let service = script([accepted(), running(), running(), end]);
        let client = service.client().alerts(Alerts::none().running_for(secs(150))).build().unwrap();
        let mut task = client.task().post("exports").submit::<Value>().await.unwrap();
        for _ in 0..3 {
            task.advance().await.unwrap().unwrap();
        }
        let long: Vec<_> = client.summary().long_tasks().map(|(name, age)| (name.to_owned(), age)).collect();
        assert_eq!(long, [("https://api.example.com/v1/tasks/1".to_owned(), secs(200))], "it has no id");
        if dropped {
            drop(task);
        } else {
            task.await.unwrap_err();
        }
        assert_eq!(client.summary().long_tasks().count(), 0);
    }
    let alerts = Alerts::standard().running_for(Duration::ZERO);
    let error = Client::builder("https://api.example.com").alerts(alerts).build().unwrap_err();
    assert!(error.to_string().contains("running_for(0ns)"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn limits_that_no_request_has_matched_are_in_the_summary() {
    let service = script((0..9).map(|_| reply(200)));
    let client = service
        .client()
        .limit(Limit::per_second(100))
        .limit(Limit::per_minute(2).scope(Scope::route("GET campaings/*")))
        .limit(Limit::per_minute(3).scope(Scope::route("lists/{list}")).named("lists"))
        .limit(Limit::per_minute(4).scope(Scope::route("/farms")))
        .limit(Limit::per_minute(5).scope(Scope::route("files/*.csv")))
        .limit(Limit::per_minute(6).scope(Scope::TokenEndpoint))
        .limit(Limit::per_minute(7).scope(Scope::route("POST **")).soft())
        .build()
        .unwrap();
    let unmatched = || client.summary().unmatched().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(unmatched(), <[&str; 0]>::default(), "nothing was sent that could match");
    client.request(Method::GET, "farms").send().await.unwrap();
    let route = "2 per 60s of the route GET campaings/*";
    let (keyed, soft) = ("lists: 3 per 60s of the route lists/{list}", "7 per 60s of the route POST **");
    let others = ["4 per 60s of the route /farms", "5 per 60s of the route files/*.csv"];
    assert_eq!(unmatched(), [route, keyed, others[0], others[1], soft]);
    // To ask what a request would meet is none.
    let _ = client.throttle().explain(Class::Call, &client.keys(&Method::GET, "lists/7").unwrap());
    assert_eq!(unmatched().len(), 5);
    client.request(Method::GET, "lists/7").send().await.unwrap();
    client.request(Method::POST, "farms").send().await.unwrap();
    assert_eq!(unmatched(), [route, others[0], others[1]]);
    // A key that is forgotten was matched all the same.
    let keys = |key: u32| client.keys(&Method::GET, &format!("lists/x{key}")).unwrap();
    tokio::time::advance(secs(600)).await;
    for key in 0..600 {
        let _ = client.throttle().explain(Class::Call, &keys(key));
    }
    assert_eq!(unmatched(), [route, others[0], others[1]]);
    let text = client.summary().to_string();
    assert!(text.contains(&format!("  {route}: no request has matched it so far")), "{text}");
    assert!(!text.contains(&format!("{route}: 0 % used")), "{text}");
    assert!(text.contains("  100 per 1s of the account: "), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_declared_limit_above_the_one_that_the_service_states_is_named_at_its_first_refusal() {
    const SAID: &str = "the declared limit `10 per 1s of the account` is higher than the service's, which states fewer";
    for (headers, ours) in [
        ([("ratelimit-policy", "\"a\";q=5;w=1"), ("ratelimit", "\"a\";r=0;t=1")], true),
        ([("ratelimit-policy", "\"a\";q=5;w=60"), ("ratelimit", "\"a\";r=0;t=1")], true),
        ([("x-ratelimit-limit", "5"), ("x-ratelimit-remaining", "0")], false),
        ([("ratelimit-policy", "\"a\";q=10;w=1"), ("ratelimit", "\"a\";r=0;t=1")], false),
        ([("ratelimit-policy", "\"a\";q=500;w=60"), ("ratelimit", "\"a\";r=0;t=1")], false),
        ([("retry-after", "1"), ("date", "Tue, 01 Jan 2030 00:00:00 GMT")], false),
    ] {
        let refusal = headers.iter().fold(reply(429), |refusal, (name, value)| refusal.header(name, value));
        let service = script([refusal, reply(200)]);
        let client = service.client().limit(Limit::per_second(10)).build().unwrap();
        client.request(Method::GET, "farms").send().await.unwrap();
        let stats = client.stats();
        let blames: Vec<_> = stats.refusals().iter().map(|one| (one.limit(), one.blame())).collect();
        let blame = if ours { Blame::Ours } else { Blame::Foreign };
        assert_eq!(blames, [("10 per 1s of the account", blame)], "{headers:?}");
        assert_eq!(stats.alerts().iter().any(|alert| alert.text().starts_with(SAID)), ours, "{headers:?}");
        let text = client.summary().to_string();
        assert_eq!(text.contains(SAID), ours, "{headers:?} {text}");
        assert!(text.contains("the declared limit `10 per 1s of the account` is higher than the service's"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_limit_that_was_kept_and_refused_thrice_is_higher_or_spent_by_others_too() {
    let refused = || reply(429).header("retry-after", "1");
    let service = script([refused(), reply(200), refused(), reply(200), refused(), reply(200)]);
    let client = service.client().limit(Limit::per_minute(100).named("calls")).build().unwrap();
    let ask = async || client.request(Method::GET, "farms").send().await.unwrap();
    ask().await;
    ask().await;
    assert_eq!(kinds(&client), [AlertKind::Throttled]);
    ask().await;
    assert_eq!(kinds(&client), [AlertKind::Throttled, AlertKind::DeclaredTooHigh]);
    let stats = client.stats();
    let alert = stats.alerts().iter().find(|alert| alert.kind() == AlertKind::DeclaredTooHigh).unwrap();
    let said = "the declared limit `calls: 100 per 60s of the account` is higher than the service's, or others spend it \
                too: refused 3 times though it was kept";
    assert_eq!((alert.text(), alert.about()), (said, Some("calls: 100 per 60s of the account")));
    assert!(client.summary().to_string().contains(said));
    assert_eq!(client.summary().refusals()[0].count(), 3);
    tokio::time::advance(secs(700)).await;
    assert_eq!(kinds(&client), []);

    // Without a declared limit, there is none that could be too high.
    let service = script([refused(), reply(200), refused(), reply(200), refused(), reply(200)]);
    let client = service.client().limit(Limit::per_minute(100).soft()).build().unwrap();
    for _ in 0..3 {
        client.request(Method::GET, "farms").send().await.unwrap();
    }
    assert_eq!(kinds(&client), [AlertKind::Throttled]);
    assert!(client.summary().refusals().is_empty() && !client.summary().to_string().contains("declared limit"));
}

#[tokio::test(start_paused = true)]
async fn a_rule_for_pages_that_looks_in_the_wrong_place_says_where_the_rows_may_be() {
    for (rows, page, said) in [
        ("/items/*", json!({"farms": [{"id": 1}]}), Some("if the rows are at `/farms/*`, say so with PageRule::rows")),
        ("/farms/*", json!([1, 2]), Some("if the rows are at `/*`")),
        ("/*", json!({"farms": [1]}), Some("if the rows are at `/farms/*`")),
        ("/farms", json!({"farms": [1, 2]}), Some("`/farms` is a list: `/farms/*` are its rows")),
        ("/farms/*", json!({"error": {"message": "no such thing"}}), Some("holds nothing but an error")),
        // A page without rows.
        ("/farms/*", json!({"total": 0}), None),
        ("/farms/*", json!({"farms": [], "warnings": ["w"]}), None),
        ("/farms/*", json!({"farms": null, "warnings": ["w"]}), None),
        ("/FARMS/*", json!({"farms": [], "warnings": ["w"]}), None),
        ("/*", json!([]), None),
        ("/a/*/b/*", json!({"a": [{"b": []}]}), None),
    ] {
        let service = script([reply(200).json(page.clone())]);
        let client = service.client().build().unwrap();
        let listing = client.pages::<Value>(Method::GET, "farms", PageRule::rows(Source::pointer(rows)));
        match (listing.try_collect::<Vec<_>>().await, said) {
            (Ok(rows), None) => assert!(rows.is_empty(), "{page}"),
            (Err(error), Some(said)) => assert!(error.to_string().contains(said), "{rows} {page}: {error}"),
            (came, _) => panic!("{rows} {page}: {came:?}"),
        }
    }
}

#[tokio::test]
async fn an_error_says_what_to_set_in_debug_too() {
    let service = script([reply(404)]);
    let client = service.client().build().unwrap();
    let error = client.task().post("/exports").submit::<Value>().await.unwrap_err();
    assert!(format!("{error:?}").contains("write it without the `/`"), "{error:?}");
    let wrong = |base: &str| Client::builder(base).build().unwrap_err().to_string();
    assert!(wrong("localhost:8080/v1").contains("the scheme `localhost`"), "{}", wrong("localhost:8080/v1"));
    let refused = client.task().post("exports").header("x-a", "a\nb").submit::<Value>().await.unwrap_err();
    assert!(refused.to_string().contains("the value of the header `x-a`"), "{refused}");
    let refused = client.task().post("exports").header("x a", "b").submit::<Value>().await.unwrap_err();
    assert!(refused.to_string().contains("`x a` is no name of a header"), "{refused}");
}
