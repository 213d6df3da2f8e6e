use tempfile::tempdir;

use super::*;

#[test]
fn a_file_that_is_no_store_is_left_as_it_is() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("slots");
    for (text, named) in [(&b"{}"[..], "holds something else"), (b"\xff\xfelonghaul slots\x07", "holds something else")]
    {
        std::fs::write(&path, text).unwrap();
        let error = FileLedger::open(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Store);
        assert!(error.to_string().contains(named), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), text);
    }
    let error = FileLedger::open(folder.path()).unwrap_err().to_string();
    assert!(error.contains("cannot be opened"), "{error}");
    let error = FileLedger::open(&folder.path().join("none/slots")).unwrap_err().to_string();
    assert!(error.contains("cannot be opened"), "{error}");
}

#[test]
fn a_store_that_exists_is_opened_as_it_is() {
    let folder = tempdir().unwrap();
    let path = folder.path().join("slots");
    FileLedger::open(&path).unwrap();
    let before = std::fs::read(&path).unwrap();
    FileLedger::open(&path).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn words_are_kept_in_the_file_beside_the_slots() {
    use crate::throttle::board::{PauseWord, Post, Probe, Stop, Turn};

    let folder = tempdir().unwrap();
    let path = folder.path().join("slots");
    let stop = Some(Stop { during: 60_000_000, asked: 0, refusals: 2 });
    let pauses = vec![PauseWord { subject: "account".into(), stop, probe: Probe::None }];
    let post =
        |member: &str, pauses| (Arc::from("b"), Post { member: member.into(), ttl: 1, pauses, ..Post::default() });
    update(&path, |state| (state.post(&[post("a", pauses)]), Keep::Written)).unwrap();
    let heard = update(&path, |state| (state.post(&[post("b", Vec::new())]), Keep::Written)).unwrap();
    let [news] = &heard[0].pauses[..] else { panic!("{heard:?}") };
    assert_eq!((news.turn, news.stop.refusals), (Turn::Others, 2));
    assert!((50_000_000..=60_000_000).contains(&news.stop.during), "{news:?}");
}
