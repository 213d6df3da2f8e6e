use super::*;

const SECOND: Micros = 1_000_000;

fn post(member: &str) -> Post {
    Post { member: member.into(), ttl: 3 * SECOND, ..Post::default() }
}

fn stops(member: &str, during: Micros, refusals: u8) -> Post {
    let stop = Stop { during, asked: 0, refusals };
    let word = PauseWord { subject: "s".into(), stop: Some(stop), probe: Probe::None };
    Post { pauses: vec![word], ..post(member) }
}

fn probes(member: &str, probe: Probe) -> Post {
    Post { pauses: vec![PauseWord { subject: "s".into(), stop: None, probe }], ..post(member) }
}

/// The turn of a member that says this.
fn turn(board: &mut Board, member: &str, probe: Probe, now: Micros) -> Turn {
    board.post(&probes(member, probe), now).posted.pauses[0].turn
}

#[test]
fn a_pause_is_told_to_all_and_one_sends_first_after_it() {
    let mut board = Board::default();
    board.post(&post("b"), 0);
    let noted = board.post(&stops("a", 2 * SECOND, 1), SECOND);
    assert_eq!(noted.nudged, ["b"]);
    let heard = board.post(&Post { epoch: noted.posted.epoch.clone(), ..post("b") }, SECOND + 500_000).posted;
    let stop = Stop { during: 1_500_000, asked: 0, refusals: 1 };
    assert_eq!(heard.pauses, [PauseNews { subject: "s".into(), stop, turn: Turn::Others }]);
    let heard = Post { epoch: heard.epoch, seen: heard.version, ..post("b") };
    assert_eq!(board.post(&heard, SECOND + 500_000).posted.pauses, [], "it is told once");

    let ends = 3 * SECOND;
    assert_eq!(turn(&mut board, "b", Probe::Wants, ends - 1), Turn::Others, "nobody sends during the pause");
    assert_eq!(turn(&mut board, "b", Probe::Wants, ends), Turn::Yours);
    assert_eq!(turn(&mut board, "a", Probe::Wants, ends + 1), Turn::Others);
    assert_eq!(turn(&mut board, "a", Probe::Passed, ends + 2), Turn::Others, "of another request");
    assert_eq!(turn(&mut board, "b", Probe::Passed, ends + 3), Turn::Open);
    assert_eq!(turn(&mut board, "a", Probe::Wants, ends + 4), Turn::Open);
    assert_eq!(turn(&mut board, "a", Probe::Wants, ends + LINGERS), Turn::Open, "long over");
}

#[test]
fn a_probe_that_is_refused_pauses_all_again() {
    let mut board = Board::default();
    board.post(&stops("a", SECOND, 1), 0);
    assert_eq!(turn(&mut board, "b", Probe::Wants, SECOND), Turn::Yours);
    let noted = board.post(&stops("b", 2 * SECOND, 2), SECOND + 100);
    assert_eq!(noted.nudged, ["a"]);
    assert_eq!(noted.posted.pauses[0].stop.refusals, 2);
    assert_eq!(turn(&mut board, "a", Probe::Wants, 3 * SECOND), Turn::Others);
    assert_eq!(turn(&mut board, "a", Probe::Wants, 3 * SECOND + 100), Turn::Yours);
    assert_eq!(turn(&mut board, "a", Probe::Passed, 3 * SECOND + 200), Turn::Open);
    let again = board.post(&stops("a", SECOND, 1), 4 * SECOND).posted;
    assert_eq!(again.pauses[0].stop.refusals, 1, "no longer in a row");
}

#[test]
fn a_pause_becomes_longer_and_never_shorter_and_small_changes_are_not_told() {
    let mut board = Board::default();
    let first = board.post(&stops("a", 10 * SECOND, 1), 0).posted;
    let second = board.post(&stops("b", 10 * SECOND, 1), 50_000).posted;
    assert_eq!(second.version, first.version, "of one burst");
    board.post(&stops("b", SECOND, 1), 60_000);
    assert_eq!(turn(&mut board, "a", Probe::Wants, 10 * SECOND), Turn::Others);
    assert_eq!(turn(&mut board, "a", Probe::Wants, 10 * SECOND + 50_000), Turn::Yours);
}

#[test]
fn the_probe_goes_on_if_its_holder_dies_or_has_nothing_to_send() {
    let mut board = Board::default();
    board.post(&stops("a", SECOND, 1), 0);
    board.post(&post("c"), SECOND);
    assert_eq!(turn(&mut board, "a", Probe::Wants, SECOND), Turn::Yours);
    assert_eq!(turn(&mut board, "b", Probe::Wants, 3 * SECOND), Turn::Others);
    assert_eq!(turn(&mut board, "b", Probe::Wants, 4 * SECOND), Turn::Yours, "the lease of the other is over");
    assert_eq!(turn(&mut board, "a", Probe::Wants, 4 * SECOND), Turn::Others);
    let noted = board.post(&probes("b", Probe::None), 4 * SECOND + 1);
    assert!(noted.nudged.contains(&"a".to_owned()), "{:?}", noted.nudged);
    assert_eq!(turn(&mut board, "a", Probe::Wants, 4 * SECOND + 2), Turn::Yours);
}

#[test]
fn a_store_that_lost_its_data_knows_no_pause_and_tells_all_it_hears_anew() {
    let mut board = Board::default();
    let old = board.post(&stops("a", SECOND, 1), 0).posted;
    let mut board = Board::default();
    let told = board.post(&stops("b", 5 * SECOND, 1), 100).posted;
    assert_ne!(told.epoch, old.epoch);
    let heard = board.post(&Post { epoch: old.epoch, seen: 99, ..post("a") }, 200).posted;
    assert_eq!(heard.pauses.len(), 1, "its version is of another epoch");
    assert_eq!(turn(&mut Board::default(), "a", Probe::Wants, 300), Turn::Open);
}

fn states(member: &str, limit: u64, remaining: u64, reset: Micros) -> Post {
    let word = BudgetWord {
        subject: "b".into(),
        credential: 1,
        route: None,
        name: Some("minute".into()),
        limit: Some(limit),
        remaining,
        window: None,
        reset,
    };
    Post { budgets: vec![word], ..post(member) }
}

#[test]
fn the_latest_rest_of_a_budget_is_told() {
    let mut board = Board::default();
    let rest = |board: &mut Board, now| {
        let heard = board.post(&post("c"), now).posted.budgets;
        heard.first().map(|word| (word.remaining, word.reset))
    };
    board.post(&states("a", 100, 50, 60 * SECOND), 0);
    board.post(&states("b", 100, 40, 59 * SECOND), SECOND);
    board.post(&states("a", 100, 45, 60 * SECOND), SECOND);
    assert_eq!(rest(&mut board, 2 * SECOND), Some((40, 58 * SECOND)), "an older word came later");
    board.post(&states("a", 100, 99, 60 * SECOND), 55 * SECOND);
    assert_eq!(rest(&mut board, 55 * SECOND), Some((99, 60 * SECOND)), "of the next window");
    board.post(&states("b", 100, 3, 2 * SECOND), 56 * SECOND);
    assert_eq!(rest(&mut board, 56 * SECOND), Some((99, 59 * SECOND)), "of the window before");
    board.post(&states("b", 50, 49, 59 * SECOND), 56 * SECOND);
    assert_eq!(rest(&mut board, 56 * SECOND), Some((49, 59 * SECOND)), "of another limit");
    assert_eq!(rest(&mut board, 120 * SECOND), None);
}

const JOINS: LearnedWord = LearnedWord::Joins { known: None };

fn learns(board: &mut Board, member: &str, word: LearnedWord, now: Micros) -> LearnedNews {
    board.post(&Post { learned: Some(word), ..post(member) }, now).posted.learned.unwrap()
}

#[test]
fn a_limit_that_was_found_is_shared_and_outlives_who_found_it() {
    let mut board = Board::default();
    let found = |count| LearnedWord::Found { count, window: SECOND };
    assert_eq!(learns(&mut board, "a", found(8), 0).share, Some(8));
    let both = learns(&mut board, "b", found(7), 0);
    assert_eq!(both.share, Some(7));
    assert_eq!(learns(&mut board, "b", found(7), 0), both, "a word that came twice");
    let three = learns(&mut board, "c", JOINS, SECOND);
    assert_eq!(three.share, Some(5), "15 by three");
    let word = LearnedWord::Changed { version: three.version, from: 5, to: 3 };
    assert_eq!(learns(&mut board, "a", word, SECOND).share, Some(5), "13 by three, the first");
    assert_eq!(learns(&mut board, "a", word, SECOND).share, Some(5), "a word that came twice");
    let other = LearnedWord::Found { count: 90, window: 10 * SECOND };
    assert_eq!(learns(&mut board, "d", other, SECOND).share, None, "over another length");
    let leaves = LearnedWord::Leaves { version: three.version + 1, from: 4 };
    assert_eq!(learns(&mut board, "b", leaves, SECOND).share, None);
    assert_eq!(learns(&mut board, "b", LearnedWord::Found { count: 4, window: SECOND }, SECOND).share, Some(4));
    // Two are gone, and the rest has their shares.
    let heard = board.post(&post("a"), 3 * SECOND + 500_000).posted;
    assert_eq!((heard.members, heard.learned.unwrap().share), (4, Some(5)));
    let heard = board.post(&post("a"), 5 * SECOND).posted;
    assert_eq!((heard.members, heard.learned.unwrap().share), (1, Some(13)));
    let later = learns(&mut board, "z", JOINS, 100 * SECOND);
    assert_eq!((later.share, later.window), (Some(13), SECOND), "after a restart of all");
    assert!(!board.is_over(200 * SECOND));
    assert!(board.is_over(100 * SECOND + LEARNED_LASTS));
}

#[test]
fn a_clock_that_runs_back_ends_no_pause_earlier() {
    let mut board = Board::default();
    board.post(&stops("a", 10 * SECOND, 1), 100 * SECOND);
    let heard = board.post(&post("b"), 40 * SECOND).posted;
    assert_eq!(heard.pauses[0].stop.during, 10 * SECOND);
    let heard = board.post(&post("b"), 45 * SECOND).posted;
    assert_eq!(heard.pauses[0].stop.during, 5 * SECOND);
}

#[test]
fn the_number_of_subjects_is_bounded_and_what_ends_first_goes() {
    let mut board = Board::default();
    for subject in 0..MOST_PAUSES + 10 {
        let mut stops = stops("a", SECOND + subject as Micros, 1);
        stops.pauses[0].subject = subject.to_string();
        board.post(&stops, 0);
    }
    assert_eq!(board.pauses.len(), MOST_PAUSES);
    assert!(!board.pauses.contains_key("9") && board.pauses.contains_key("10"));
}

#[test]
fn what_the_last_one_no_longer_finds_is_forgotten_and_a_limit_from_before_is_shared_once() {
    let mut board = Board::default();
    let found = LearnedWord::Found { count: 24, window: SECOND };
    let news = learns(&mut board, "a", found, 0);
    let leaves = Post { learned: Some(LearnedWord::Leaves { version: news.version, from: 24 }), ..post("a") };
    assert_eq!(board.post(&leaves, 0).posted.learned, None);
    let known = LearnedWord::Joins { known: Some((12, SECOND)) };
    assert_eq!(learns(&mut board, "a", known, 0).share, Some(12));
    assert_eq!(learns(&mut board, "b", known, 0).share, Some(6), "the same 12");
    assert_eq!(learns(&mut board, "b", known, 0).share, Some(6), "a word that came twice");
}
