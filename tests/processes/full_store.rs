//! A task store on a file system that is full.

use std::fs;

use longhaul::ErrorKind;
use longhaul::tasks::{FileTaskStore, TaskStore};
use longhaul::testing::{reply, script};

use crate::small_disk::Small;

#[tokio::test(start_paused = true)]
async fn a_full_disk_refuses_the_submit_before_it_is_sent_and_loses_nothing() {
    let Some(small) = Small::new(1) else { return };
    let service = script((0..100).map(|_| reply(202).header("location", "/v1/tasks/7")));
    let store = FileTaskStore::new(small.at.join("tasks"));
    let client = service.client().task_store(store.clone()).build().unwrap();
    let submit = |name: String| {
        let body = vec![b'x'; 40_000];
        client.task().post("exports").stored_as(name).idempotency_key("k").body(body, "text/plain").submit::<u32>()
    };
    let kept = submit("kept".to_owned()).await.unwrap();
    // Somebody else takes all that is left, up to half of a submit.
    fs::write(small.at.join("filler"), vec![7; 2 << 20]).unwrap_err();
    fs::File::options().write(true).open(small.at.join("filler")).unwrap().set_len((1 << 20) - 80_000).unwrap();
    let whole = fs::read(small.at.join("tasks")).unwrap();
    for round in 0..3 {
        let error = submit(format!("refused{round}")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TaskStore, "{error}");
        let text = error.to_string();
        assert!(text.contains("was not stored, and not submitted") && text.contains("No space left"), "{text}");
        assert!(fs::read(small.at.join("tasks")).unwrap() == whole, "a part of it was left");
    }
    assert_eq!((service.requests().len(), store.counts().await.unwrap().open()), (1, 1));
    fs::remove_file(small.at.join("filler")).unwrap();
    drop(submit("later".to_owned()).await.unwrap());
    assert_eq!(store.counts().await.unwrap().submitted, 2);
    drop(kept);
}
