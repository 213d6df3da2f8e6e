//! What a store holds, and what it never holds.

use longhaul::tasks::{FileTaskStore, Recovered, TaskLease, TaskStore, TaskWrite};
use longhaul::testing::{Script, reply, script};
use longhaul::{Client, ClientBuilder, ErrorKind, Protocol, RetryPolicy};
use serde_json::json;

use crate::support::{Folder, accepted, asked};

const KEY: [u8; 32] = [7; 32];

fn store(folder: &Folder) -> FileTaskStore {
    FileTaskStore::new(folder.at("tasks"))
}

fn plain(service: &Script, folder: &Folder) -> Client {
    service.client().task_store(store(folder)).build().unwrap()
}

fn sealed(service: &Script, folder: &Folder, key: [u8; 32]) -> Client {
    service.client().task_store(store(folder)).task_store_key(key).build().unwrap()
}

fn holds(folder: &Folder, text: &str) -> bool {
    folder.read("tasks").windows(text.len()).any(|window| window == text.as_bytes())
}

/// Submits, and loses the answer.
async fn lose(client: &Client, change: impl FnOnce(longhaul::TaskBuilder) -> longhaul::TaskBuilder) {
    let task = client.task().post("exports").idempotency_key("key-1").json(&json!({"farms": [1, 2]}));
    let error = change(task).submit::<u32>().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network, "{error}");
    client.settle().await;
}

fn lost() -> Script {
    script([reply(202).lost()])
}

fn without_retries(service: &Script) -> ClientBuilder {
    service.client().retry(RetryPolicy::none())
}

#[tokio::test(start_paused = true)]
async fn a_lost_submit_is_sent_again_just_as_it_was() {
    let folder = Folder::new();
    let service = lost();
    let client = without_retries(&service).task_store(store(&folder)).build().unwrap();
    lose(&client, |task| task.query([("day", "3")]).plain_header("x-tenant", "acme").header("accept", "text/csv"))
        .await;
    drop(client);
    service.then(accepted());
    service.then(reply(200).json(json!(7)));
    let client = plain(&service, &folder);
    let Some(Recovered::Task(task)) = client.recover::<u32>().await.unwrap().pop() else { panic!("it is free") };
    let outcome = task.await.unwrap();
    assert_eq!(outcome.value().unwrap(), 7);
    let requests = service.requests();
    let of = |at: usize| {
        let seen = &requests[at];
        let header = |name: &str| seen.header(name).map(str::to_owned);
        let headers = ["content-type", "idempotency-key", "x-tenant", "accept"].map(header);
        (seen.method().clone(), seen.url().clone(), headers, seen.body().clone())
    };
    assert_eq!(of(0), of(1));
    assert_eq!(of(0).2.map(Option::unwrap), ["application/json", "key-1", "acme", "text/csv"]);
    // The poll carries what polls carry.
    assert_eq!((requests[2].header("x-tenant"), requests[2].header("idempotency-key")), (Some("acme"), None));
    // The request is no longer stored.
    outcome.ack().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_no_store_may_hold_makes_a_lost_submit_uncertain() {
    type Change = fn(longhaul::TaskBuilder) -> longhaul::TaskBuilder;
    let rows: [(Change, &str, &str); 4] = [
        (|task| task.secret_header("x-pass", "S3CRET"), "header `x-pass`", "header `x-pass`"),
        (|task| task.header("x-tenant", "S3CRET"), "header `x-tenant`", ""),
        (|task| task.query([("sig", "S3CRET")]), "query of its URL", "query of its URL"),
        (
            |task| task.json(&json!({"to": "https://acct.blob.core.windows.net/c?sv=2024&sp=r&sig=S3CRET%3D"})),
            "body",
            "body",
        ),
    ];
    for (change, why_plain, why_sealed) in rows {
        for (is_sealed, why) in [(false, why_plain), (true, why_sealed)] {
            let folder = Folder::new();
            let service = lost();
            let builder = without_retries(&service).task_store(store(&folder));
            let builder = if is_sealed { builder.task_store_key(KEY) } else { builder };
            lose(&builder.build().unwrap(), change).await;
            assert!(!holds(&folder, "S3CRET"), "{why}");
            let client = if is_sealed { sealed(&service, &folder, KEY) } else { plain(&service, &folder) };
            service.then(accepted());
            match client.recover::<u32>().await.unwrap().pop() {
                Some(Recovered::Uncertain(task)) => {
                    assert!(!why.is_empty() && task.why().contains(why), "{}", task.why());
                    assert_eq!(task.idempotency_key(), Some("key-1"));
                    assert_eq!(
                        task.url().unwrap().to_string().split('?').next(),
                        Some("https://api.example.com/v1/exports")
                    );
                    assert!(!format!("{task:?}").contains("S3CRET"));
                }
                Some(Recovered::Task(_)) if why.is_empty() => assert_eq!(service.requests().len(), 2),
                other => panic!("{is_sealed} {why}: {other:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn no_signed_status_url_is_stored_and_the_key_gets_a_fresh_one() {
    let folder = Folder::new();
    let signed = "https://api.example.com/v1/tasks/7?sig=S3CRET";
    let submit = || reply(202).header("location", signed);
    let service = script([submit()]);
    let client = plain(&service, &folder);
    let task = client.task().post("exports").idempotency_key("key-1").submit::<u32>().await.unwrap();
    drop((task, client));
    let client = plain(&service, &folder);
    tokio::task::yield_now().await;
    service.then(submit());
    service.then(reply(200).json(json!(7)));
    let recovered = loop {
        match client.recover::<u32>().await.unwrap().pop() {
            Some(Recovered::Task(task)) => break task,
            Some(other) => panic!("{other:?}"),
            None => tokio::time::sleep(std::time::Duration::from_millis(10)).await,
        }
    };
    assert!(!holds(&folder, "S3CRET"));
    assert_eq!(recovered.await.unwrap().value().unwrap(), 7);
    assert_eq!(asked(&service), ["POST /v1/exports", "POST /v1/exports", "GET /v1/tasks/7?sig=S3CRET"]);
}

#[tokio::test(start_paused = true)]
async fn a_sealed_store_shows_names_and_states_and_nothing_else() {
    let folder = Folder::new();
    let service = script([accepted(), reply(200).json(json!(7))]);
    let client = sealed(&service, &folder, KEY);
    let jobs = Protocol::auto().status_template("jobs/{id}");
    let task = client
        .task()
        .protocol(jobs.clone())
        .post("exports")
        .stored_as("order-17")
        .idempotency_key("K3Y")
        .header("x-tenant", "T3NANT")
        .json(&json!({"farms": "F4RMS"}))
        .submit::<u32>()
        .await
        .unwrap();
    drop(task);
    client.settle().await;
    drop(client);
    for secret in ["K3Y", "T3NANT", "F4RMS", "example.com", "tasks/7"] {
        assert!(!holds(&folder, secret), "{secret}");
    }
    assert!(holds(&folder, "order-17"));
    // The wrong key, and none: an error for each task, which stays in the store.
    for (client, why) in [
        (sealed(&service, &folder, [8; 32]), "sealed with another key, or changed"),
        (plain(&service, &folder), "is sealed: give the client its key"),
    ] {
        let recovered = client.recover::<u32>().await.unwrap();
        let [Recovered::Failed(failed)] = &recovered[..] else { panic!("{recovered:?}") };
        assert_eq!((failed.stored_as(), failed.error().kind()), ("order-17", ErrorKind::TaskStore));
        assert!(failed.error().to_string().contains(why), "{}", failed.error());
        drop(recovered);
        client.settle().await;
    }
    let client = sealed(&service, &folder, KEY);
    // Also with its own protocol, and the header that no plain token contains.
    let Some(Recovered::Task(task)) = client.recover::<u32>().await.unwrap().pop() else { panic!("it is free") };
    task.await.unwrap().ack().await.unwrap();
    assert_eq!(service.requests()[1].header("x-tenant"), Some("T3NANT"));
    assert_eq!(store(&folder).counts().await.unwrap().open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_plain_store_is_edited_in_vain() {
    let folder = Folder::new();
    let service = script([accepted()]);
    let client = plain(&service, &folder);
    let jobs = Protocol::auto().status_template("jobs/{id}");
    drop(client.task().protocol(jobs.clone()).post("exports").submit::<u32>().await.unwrap());
    client.settle().await;
    // No protocol is taken from it.
    let recovered = client.recover::<u32>().await.unwrap();
    let [Recovered::Failed(failed)] = &recovered[..] else { panic!("{recovered:?}") };
    assert_eq!(failed.error().kind(), ErrorKind::InvalidToken);
    drop(recovered);
    let recovered = client.recover::<u32>().protocol(jobs).await.unwrap();
    assert!(matches!(&recovered[..], [Recovered::Task(_)]), "{recovered:?}");

    // No request leaves for another origin.
    let store = store(&folder);
    service.then(reply(202).lost());
    lose(&without_retries(&service).task_store(store.clone()).build().unwrap(), |task| task).await;
    let claimed = store.claim("somebody".into(), 1).await.unwrap();
    let intent = std::str::from_utf8(claimed[0].data()).unwrap().replace("api.example.com", "evil.example");
    let _ = store.write(claimed[0].lease().clone(), TaskWrite::Acknowledged).await.unwrap();
    for (name, data) in [("evil", intent), ("newer", "{\"version\": 2}".into()), ("text", "{}".into())] {
        super::intend(&store, name, "somebody", data.as_bytes()).await;
    }
    let leases = store.counts().await.unwrap();
    assert_eq!(leases.intended, 3);
    for name in ["evil", "newer", "text"] {
        let lease = TaskLease::new(name.into(), "somebody".into(), 1);
        let _ = store.write(lease, TaskWrite::Released).await.unwrap();
    }
    let mut errors: Vec<_> = client
        .recover::<u32>()
        .await
        .unwrap()
        .iter()
        .map(|recovered| match recovered {
            Recovered::Failed(failed) => format!("{}: {}", failed.stored_as(), failed.error()),
            other => panic!("{other:?}"),
        })
        .collect();
    errors.sort();
    assert!(errors[0].starts_with("evil: refused to follow a URL"), "{errors:?}");
    assert!(errors[1].contains("its version is 2, and this crate reads 1"), "{errors:?}");
    assert!(errors[2].contains("is not the data of a task"), "{errors:?}");
    assert_eq!(service.requests().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_refused_submit_leaves_no_task_and_its_name_is_free() {
    let folder = Folder::new();
    let service = script([reply(400), reply(202).unsent(), accepted()]);
    let client = without_retries(&service).task_store(store(&folder)).build().unwrap();
    let submit = || client.task().post("exports").stored_as("a").submit::<u32>();
    assert_eq!(submit().await.unwrap_err().kind(), ErrorKind::Rejected);
    assert_eq!(client.stored_tasks().await.unwrap().open(), 0);
    assert_eq!(submit().await.unwrap_err().kind(), ErrorKind::Network);
    assert_eq!(client.stored_tasks().await.unwrap().open(), 0);
    drop(submit().await.unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_failed_task_is_given_back_until_it_is_acknowledged() {
    let folder = Folder::new();
    let service = script([accepted(), reply(200).json(json!({"status": "failed"}))]);
    let client = plain(&service, &folder);
    let task = client.task().post("exports").submit::<u32>().await.unwrap();
    let error = task.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TaskFailed);
    assert_eq!(client.stored_tasks().await.unwrap().finished, 1);
    service.then(reply(200).json(json!({"status": "failed"})));
    let Some(Recovered::Task(task)) = client.recover::<u32>().await.unwrap().pop() else { panic!("it is free") };
    let handle = task.handle();
    assert_eq!(task.await.unwrap_err().kind(), ErrorKind::TaskFailed);
    handle.ack().await.unwrap();
    assert_eq!(client.stored_tasks().await.unwrap().open(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_task_that_moves_is_stored_anew() {
    let folder = Folder::new();
    let service = script([accepted(), reply(202).header("location", "/v1/tasks/8"), reply(200).json(json!(7))]);
    let client = plain(&service, &folder);
    let mut task = client.task().post("exports").submit::<u32>().await.unwrap();
    task.advance().await;
    task.advance().await;
    drop(task);
    client.settle().await;
    drop(client);
    let client = plain(&service, &folder);
    let Some(Recovered::Task(task)) = client.recover::<u32>().await.unwrap().pop() else { panic!("it is free") };
    task.await.unwrap();
    assert_eq!(asked(&service), ["POST /v1/exports", "GET /v1/tasks/7", "GET /v1/tasks/8"]);
}
