//! The journey: from the submit through the polls to the file in the storage.

use std::time::Duration;

use longhaul::testing::{Finish, Side, Simulator, reply, script};
use longhaul::{Credential, ErrorKind, State};
use serde_json::{Value, json};

use super::{builder, scripted};
use crate::support::{Folder, MINUTE, millis, secs};

#[tokio::test]
async fn leads_from_the_submit_to_the_file_with_secrets_at_the_api_alone() {
    for finish in [Finish::Resource, Finish::Signed, Finish::ResultOnly] {
        let service =
            Simulator::smag().task_duration(millis(300)).retry_after(millis(100)).finish(finish).start().await.unwrap();
        let client = builder(&service).build().unwrap();
        let task = client.task().post("exports").json(&json!({ "size": 200_000 })).submit::<Value>().await.unwrap();
        let uid = service.tasks().remove(0);
        assert_eq!(task.id(), Some(uid.clone()));
        let outcome = task.await.unwrap();
        assert_eq!(outcome.state(), State::Succeeded);
        let folder = Folder::new();
        outcome.download().to_file(folder.at("farms.parquet")).await.unwrap();
        let expected = service.expected(&uid).unwrap();
        assert_eq!(folder.read("farms.parquet"), expected.bytes(0..expected.len()), "{finish:?}");

        let counts = service.counts();
        assert_eq!((counts.early_polls(), counts.misplaced_credentials()), (0, 0), "{finish:?}");
        assert_eq!((counts.submits(), counts.logins(), counts.unauthorized()), (1, 1, 0), "{finish:?}");
        let sides: Vec<Side> = service.log().iter().map(longhaul::testing::Seen::side).collect();
        assert_eq!((sides.first(), sides.last()), (Some(&Side::Token), Some(&Side::Storage)));
        for seen in service.log() {
            let has = |name: &str| seen.header_names().iter().any(|header| header == name);
            let (key, token) = (has("ocp-apim-subscription-key"), has("authorization"));
            let expected = match seen.side() {
                Side::Api => (true, true),
                Side::Token => (true, false),
                _ => (false, false),
            };
            assert_eq!((key, token), expected, "{seen:?}");
        }
    }
}

#[tokio::test]
async fn a_task_that_fails_says_why() {
    let service = Simulator::smag().task_duration(millis(50)).retry_after(millis(50)).start().await.unwrap();
    let client = builder(&service).build().unwrap();
    let task = client.task().post("exports").json(&json!({ "fail": "No farms" })).submit::<Value>().await.unwrap();
    let error = task.await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TaskFailed);
    assert!(error.to_string().contains("No farms"), "{error}");
}

#[tokio::test]
async fn a_link_that_expired_is_renewed_from_the_task() {
    let service = Simulator::smag()
        .task_duration(Duration::ZERO)
        .retry_after(millis(50))
        .finish(Finish::Signed)
        .start()
        .await
        .unwrap();
    let client = builder(&service).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    service.expire_links();
    let folder = Folder::new();
    outcome.download().to_file(folder.at("farms")).await.unwrap();
    let expected = service.expected(&service.tasks()[0]).unwrap();
    assert_eq!(folder.read("farms"), expected.bytes(0..expected.len()));
    assert_eq!(service.counts().misplaced_credentials(), 0);
}

#[tokio::test(start_paused = true)]
async fn polls_every_five_minutes_unless_it_is_asked_otherwise() {
    let task = json!({ "TaskUid": "7", "Location": "https://api.smag.tech/farmsandfields/v1/tasks/7" });
    let started = || reply(200).json(json!({ "TaskUid": "7", "Status": "started" }));
    let asks = |millis: u64| reply(200).json(json!({ "TaskUid": "7", "Status": "started", "RetryAfter": millis }));
    let finished = json!({ "TaskUid": "7", "Status": "finished", "Result": "https://files.example/7?sig=x" });
    let service = script([
        reply(201).json(task),
        started(),
        started(),
        asks(90_000),
        started().header("retry-after", "20"),
        reply(200).json(finished),
    ]);
    let policy = longhaul::PollPolicy::standard().without_jitter();
    let client = scripted(&service).credential(Credential::none()).poll_policy(policy).build().unwrap();
    let outcome = client.task().post("exports").submit::<Value>().await.unwrap().await.unwrap();
    assert_eq!(outcome.links().len(), 1);
    // The first poll comes soon, to see short tasks end.
    let gaps = service.gaps();
    assert_eq!(gaps[gaps.len() - 4..], [5 * MINUTE, 5 * MINUTE, secs(90), secs(20)], "{gaps:?}");
}
