//! The token file: what is on the disk, whoever writes to it and whenever it ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use longhaul::credentials::{CredentialStore, FileStore, RefreshTurn, Replaced, Token};

use crate::callsites::listen;
use crate::child::again;
use crate::folder::Folder;
use crate::log::Log;

const KEY: [u8; 32] = [7; 32];

fn path_in(folder: &Folder) -> PathBuf {
    folder.at("token")
}

fn store_in(folder: &Folder) -> FileStore {
    FileStore::encrypted(path_in(folder), KEY)
}

/// A token of many parts that tell whether they belong together.
fn token(number: u64) -> Token {
    let number = format!("{number:05}");
    Token::new(number.repeat(400)).refreshed_by(number.repeat(20)).expires_in(Duration::from_secs(3_600))
}

/// The number of a token, if it is one of ours and whole.
fn number(token: &Token) -> Option<u64> {
    let number = token.expose().get(..5)?.parse().ok()?;
    let whole = self::token(number);
    let same = token.expose() == whole.expose() && token.expose_refresh() == whole.expose_refresh();
    same.then_some(number)
}

async fn error(store: &FileStore) -> String {
    let error = store.load().await.unwrap_err();
    let shown = format!("{error} {error:?} {store:?}");
    assert!(!["00007", "T0KEN", "R3FRESH"].iter().any(|secret| shown.contains(secret)), "{shown}");
    assert!(!shown.contains("7, 7, 7"), "{shown}");
    error.to_string()
}

#[cfg(unix)]
fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;

    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

#[tokio::test]
async fn gives_back_what_was_saved_until_it_is_removed() {
    let folder = Folder::new();
    let store = store_in(&folder);
    assert_eq!(store.load().await.unwrap(), None);
    store.save(None).await.unwrap();
    for number in 1..4 {
        let saved = token(number);
        store.save(Some(saved.clone())).await.unwrap();
        let loaded = store_in(&folder).load().await.unwrap().unwrap();
        assert_eq!(self::number(&loaded), Some(number));
        let apart = saved.expiry().unwrap().duration_since(loaded.expiry().unwrap()).unwrap();
        assert!(apart < Duration::from_millis(1));
    }
    assert_eq!(folder.names(), ["token"]);
    store.save(None).await.unwrap();
    assert_eq!((store.load().await.unwrap(), folder.names()), (None, Vec::new()));
}

#[tokio::test]
async fn no_secret_is_in_the_bytes_of_an_encrypted_file() {
    let folder = Folder::new();
    store_in(&folder).save(Some(Token::new("T0KEN-T0KEN").refreshed_by("R3FRESH"))).await.unwrap();
    let bytes = fs::read(path_in(&folder)).unwrap();
    for secret in ["T0KEN", "R3FRESH", "access", "refresh"] {
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()), "{secret}");
    }
}

#[tokio::test]
async fn a_changed_or_cut_file_is_an_error_that_leaves_it() {
    let folder = Folder::new();
    let store = store_in(&folder);
    store.save(Some(Token::new("T0KEN").refreshed_by("R3FRESH"))).await.unwrap();
    let whole = fs::read(path_in(&folder)).unwrap();
    let mut broken: Vec<Vec<u8>> = (0..whole.len()).map(|length| whole[..length].to_vec()).collect();
    broken.extend((0..whole.len()).map(|at| {
        let mut changed = whole.clone();
        changed[at] ^= 1;
        changed
    }));
    broken.push([whole.as_slice(), b"\n"].concat());
    for bytes in broken {
        fs::write(path_in(&folder), &bytes).unwrap();
        error(&store).await;
        assert_eq!(fs::read(path_in(&folder)).unwrap(), bytes);
    }
    fs::write(path_in(&folder), whole).unwrap();
    assert!(store.load().await.unwrap().is_some());
}

#[tokio::test]
async fn says_what_is_wrong_and_what_to_do() {
    let folder = Folder::new();
    let store = store_in(&folder);
    let plain = FileStore::plain_text(path_in(&folder));
    store.save(Some(token(7))).await.unwrap();
    let sealed = fs::read(path_in(&folder)).unwrap();
    let another = FileStore::encrypted(path_in(&folder), [8; 32]);
    assert!(error(&another).await.contains("give the right key"));
    assert!(error(&plain).await.contains("open it with FileStore::encrypted"));
    let json = token(7).expose_json();
    for (bytes, what) in [
        (&sealed[..30], "is cut off"),
        (&[b"longhaul token 3", &sealed[16..]].concat(), "is of another version"),
        (json.as_bytes(), "open it with FileStore::plain_text"),
        (b"root:x:0:0", "is no token file"),
        (&[0; 300_000], "is too long"),
    ] {
        fs::write(path_in(&folder), bytes).unwrap();
        let error = error(&store).await;
        assert!(error.contains(what) && error.contains(&*path_in(&folder).to_string_lossy()), "{error}");
    }
    for text in ["", "{\"access\": \"T0KEN\"", "\u{0}", "[]"] {
        fs::write(path_in(&folder), text).unwrap();
        assert!(error(&plain).await.contains("holds no token"));
    }
    fs::remove_file(path_in(&folder)).unwrap();
    fs::create_dir(path_in(&folder)).unwrap();
    assert!(error(&store).await.contains("is no ordinary file"));
    let saved = store.save(Some(token(7))).await.unwrap_err().to_string();
    assert!(saved.contains("cannot be written"), "{saved}");
    assert_eq!(folder.names(), ["token"]);
}

#[tokio::test]
async fn a_folder_that_is_missing_is_named_and_not_made() {
    let folder = Folder::new();
    let store = FileStore::encrypted(folder.at("none/token"), KEY);
    assert!(error(&store).await.contains("in a folder that does not exist"));
    assert!(store.save(Some(token(7))).await.unwrap_err().to_string().contains("in a folder that does not exist"));
    store.save(None).await.unwrap();
    assert_eq!(folder.names(), [""; 0]);
}

#[tokio::test]
async fn plain_text_is_plain_and_made_by_its_own_name_alone() {
    let folder = Folder::new();
    let store = FileStore::plain_text(path_in(&folder));
    store.save(Some(Token::new("T0KEN").refreshed_by("R3FRESH"))).await.unwrap();
    let text = fs::read_to_string(path_in(&folder)).unwrap();
    assert_eq!(Token::from_json(&text).unwrap().expose(), "T0KEN");
    assert_eq!(store.load().await.unwrap().unwrap().expose_refresh(), Some("R3FRESH"));
    assert!(error(&store_in(&folder)).await.contains("is not encrypted"));
    #[cfg(unix)]
    assert_eq!(mode(&path_in(&folder)), 0o600);
}

#[cfg(unix)]
#[tokio::test]
async fn wider_rights_of_an_older_file_end_with_the_next_save() {
    use std::os::unix::fs::PermissionsExt;

    let folder = Folder::new();
    fs::write(path_in(&folder), "").unwrap();
    fs::set_permissions(path_in(&folder), fs::Permissions::from_mode(0o666)).unwrap();
    store_in(&folder).save(Some(token(7))).await.unwrap();
    assert_eq!(mode(&path_in(&folder)), 0o600);
}

#[cfg(unix)]
#[tokio::test]
async fn a_link_in_its_place_is_replaced_and_not_followed() {
    let folder = Folder::new();
    let elsewhere = folder.at("elsewhere");
    fs::write(&elsewhere, "untouched").unwrap();
    std::os::unix::fs::symlink(&elsewhere, path_in(&folder)).unwrap();
    store_in(&folder).save(Some(token(7))).await.unwrap();
    assert_eq!(fs::read_to_string(elsewhere).unwrap(), "untouched");
    assert!(fs::symlink_metadata(path_in(&folder)).unwrap().is_file());
    assert_eq!(number(&store_in(&folder).load().await.unwrap().unwrap()), Some(7));
}

#[tokio::test]
async fn what_a_killed_process_left_is_ignored_and_later_removed() {
    let folder = Folder::new();
    let store = store_in(&folder);
    store.save(Some(token(1))).await.unwrap();
    let left = folder.at("token.0123456789abcdef.new");
    fs::write(&left, "half of a tok").unwrap();
    assert_eq!(number(&store.load().await.unwrap().unwrap()), Some(1));
    store.save(Some(token(2))).await.unwrap();
    assert_eq!((number(&store.load().await.unwrap().unwrap()), left.exists()), (Some(2), true));

    let before = SystemTime::now() - Duration::from_secs(2 * 3_600);
    fs::File::options().write(true).open(&left).unwrap().set_modified(before).unwrap();
    store.save(None).await.unwrap();
    assert_eq!(folder.names(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_save_at_once_one_wins_and_none_is_torn() {
    let folder = Folder::new();
    store_in(&folder).save(Some(token(0))).await.unwrap();
    let writers = (1..=8).map(|writer| {
        // Each with a store of its own, as processes have.
        let store = store_in(&folder);
        tokio::spawn(async move {
            for round in 0..25 {
                store.save(Some(token(writer * 100 + round))).await.unwrap();
            }
        })
    });
    let writers: Vec<_> = writers.collect();
    let reader = store_in(&folder);
    let mut loads = 0;
    while writers.iter().any(|writer| !writer.is_finished()) {
        assert!(number(&reader.load().await.unwrap().unwrap()).is_some());
        loads += 1;
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let last = number(&reader.load().await.unwrap().unwrap()).unwrap();
    assert!(loads > 1 && last % 100 == 24, "{last} after {loads} loads");
    assert_eq!(folder.names(), ["token"]);
}

#[cfg(unix)]
#[test]
fn no_mask_makes_it_wider_or_unreadable() {
    let folder = Folder::new();
    for mask in ["0000", "0022", "0777"] {
        let mut child = child(&folder, &format!("umask {mask}; ")).spawn().unwrap();
        wait_for_change(&folder, None);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(mode(&path_in(&folder)), 0o600, "{mask}");
        fs::remove_file(path_in(&folder)).unwrap();
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_kill_at_any_moment_leaves_a_whole_token() {
    let folder = Folder::new();
    let mut found = Vec::new();
    for round in 0..20 {
        let before = fs::read(path_in(&folder)).ok();
        let mut child: Child = child(&folder, "").spawn().unwrap();
        wait_for_change(&folder, before.as_deref());
        std::thread::sleep(Duration::from_micros(fastrand::u64(0..20_000)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        assert!(!status.success(), "{status:?} in round {round}");
        let token = store_in(&folder).load().await.unwrap().unwrap();
        found.push(number(&token).unwrap());
    }
    found.dedup();
    assert!(found.len() > 1, "{found:?}");
    let store = store_in(&folder);
    store.save(Some(token(7))).await.unwrap();
    assert_eq!(number(&store.load().await.unwrap().unwrap()), Some(7));
}

/// Not a test of its own: the process that is killed.
#[tokio::test]
async fn saves_in_a_loop() {
    let Some(path) = std::env::var_os(PLACE) else { return };
    let store = FileStore::encrypted(path, KEY);
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(60) {
        store.save(Some(token(fastrand::u64(0..100_000)))).await.unwrap();
    }
}

/// This program again, for that one test, behind this line of a shell.
#[cfg(unix)]
fn child(folder: &Folder, line: &str) -> Command {
    let itself = again(std::env::current_exe().unwrap(), module_path!(), "saves_in_a_loop");
    let mut command = Command::new("sh");
    command.args(["-c", &format!("{line}exec \"$0\" \"$@\"")]).arg(itself.get_program()).args(itself.get_args());
    command.env(PLACE, path_in(folder)).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

#[cfg(unix)]
fn wait_for_change(folder: &Folder, before: Option<&[u8]>) {
    let begun = Instant::now();
    while fs::read(path_in(folder)).ok().as_deref() == before {
        assert!(begun.elapsed() < Duration::from_secs(30), "the child saves nothing");
        std::thread::sleep(Duration::from_millis(1));
    }
}

const PLACE: &str = "LONGHAUL_TEST_TOKEN_FILE";

#[tokio::test]
async fn an_encrypted_file_is_for_its_path_alone() {
    let folder = Folder::new();
    store_in(&folder).save(Some(token(7))).await.unwrap();
    // The same place by another spelling.
    let spelled = FileStore::encrypted(folder.at(".").join("token"), KEY);
    assert_eq!(number(&spelled.load().await.unwrap().unwrap()), Some(7));
    // Put in the place of another account's, and moved.
    for name in ["other", "token.bak"] {
        fs::copy(path_in(&folder), folder.at(name)).unwrap();
        let error = error(&FileStore::encrypted(folder.at(name), KEY)).await;
        assert!(error.contains("the key or the path is not the one"), "{error}");
    }
    let elsewhere = folder.at("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    let elsewhere = elsewhere.join("token");
    fs::rename(path_in(&folder), &elsewhere).unwrap();
    assert!(error(&FileStore::encrypted(&elsewhere, KEY)).await.contains("the key or the path is not the one"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_plain_file_that_others_can_read_is_used_with_a_warning() {
    use std::os::unix::fs::PermissionsExt;

    for (mode, warns) in [(0o600, false), (0o400, false), (0o640, true), (0o604, true), (0o620, true), (0o611, false)] {
        let folder = Folder::new();
        let (plain, sealed) = (FileStore::plain_text(path_in(&folder)), store_in(&folder));
        for (store, warns) in [(&plain, warns), (&sealed, false)] {
            store.save(Some(token(7))).await.unwrap();
            fs::set_permissions(path_in(&folder), fs::Permissions::from_mode(mode)).unwrap();
            let log = Log::default();
            let watched = listen(&log);
            assert_eq!(number(&store.load().await.unwrap().unwrap()), Some(7));
            drop(watched);
            assert_eq!(log.text().contains("others can read"), warns, "{mode:o} {store:?}: {}", log.text());
            assert!(!log.text().contains("00007"), "{}", log.text());
        }
    }
}

#[tokio::test]
async fn one_store_at_a_time_has_the_lock_and_a_save_needs_none() {
    let folder = Folder::new();
    let (one, other) = (store_in(&folder), store_in(&folder));
    let (one, other) = (one.exclusive().unwrap(), other.exclusive().unwrap());
    let time = Duration::from_secs(60);
    let none = one.read().await.unwrap();
    assert!(none.token().is_none());
    let RefreshTurn::Granted(lease) = one.lock("one".into(), time).await.unwrap() else { panic!() };
    assert!(matches!(other.lock("other".into(), time).await.unwrap(), RefreshTurn::Taken { left: None }));
    assert!(one.renew(lease.clone(), time).await.unwrap());
    // A login, which needs no lock.
    let Replaced::Done(first) = other.replace(none.generation(), Some(token(1))).await.unwrap() else { panic!() };
    let Replaced::Outdated(found) = one.replace(none.generation(), Some(token(2))).await.unwrap() else { panic!() };
    assert_eq!((found.generation(), number(found.token().unwrap())), (first, Some(1)));
    let Replaced::Done(second) = one.replace(first, Some(token(2))).await.unwrap() else { panic!() };
    // A save of any program is another generation, and so is a removal.
    store_in(&folder).save(Some(token(2))).await.unwrap();
    assert_ne!(one.read().await.unwrap().generation(), second);
    store_in(&folder).save(None).await.unwrap();
    let Replaced::Outdated(found) = one.replace(second, Some(token(3))).await.unwrap() else { panic!() };
    assert!(found.token().is_none() && found.generation() != 0);
    one.release(lease).await.unwrap();
    assert!(matches!(other.lock("other".into(), time).await.unwrap(), RefreshTurn::Granted(_)));
    assert_eq!(folder.names(), ["token.refresh.lock", "token.save.lock"]);
    #[cfg(unix)]
    for name in folder.names() {
        assert_eq!(mode(&folder.at(&name)), 0o600);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_that_replace_one_generation_one_does() {
    let folder = Folder::new();
    store_in(&folder).save(Some(token(0))).await.unwrap();
    for round in 1..20 {
        let generation = store_in(&folder).exclusive().unwrap().read().await.unwrap().generation();
        let writers = (0..8).map(|writer| {
            let store = store_in(&folder);
            let token = token(round * 100 + writer);
            tokio::spawn(async move { store.exclusive().unwrap().replace(generation, Some(token)).await.unwrap() })
        });
        let mut done = 0;
        for writer in writers.collect::<Vec<_>>() {
            done += usize::from(matches!(writer.await.unwrap(), Replaced::Done(_)));
        }
        assert_eq!(done, 1, "{round}");
    }
}
