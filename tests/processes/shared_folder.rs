//! Files that somebody put beside the target of a download, or in its place.

use std::fs::{self, File};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use futures::future::BoxFuture;
use longhaul::downloads::Receipt;
use longhaul::http::{Http, HttpError, Request, Response};
use longhaul::testing::{Canned, reply, script};
use longhaul::{Client, Error, ErrorKind};

use crate::child::again;
use crate::folder::Folder;

const LINK: &str = "https://store.example.net/7?sig=1";
const PRECIOUS: &str = "precious";

/// A folder with a part of four bytes, and its journal, as a download leaves them that broke off.
async fn with_part() -> Folder {
    let folder = Folder::new();
    download(&folder.at("7"), [part("0-9/10", "0123").cut(), reply(404)]).await.unwrap_err();
    assert_eq!(folder.names(), ["7.part", "7.part.json"]);
    folder
}

fn part(range: &str, body: &str) -> Canned {
    reply(206).header("content-range", &format!("bytes {range}")).header("etag", "\"v1\"").body(body.to_owned())
}

fn whole() -> Canned {
    part("0-9/10", "0123456789")
}

/// Downloads into a file. It ends, whatever stands there.
async fn download(target: &Path, answers: impl IntoIterator<Item = Canned>) -> Result<Receipt, Error> {
    let client = script(answers).client().build().unwrap();
    let ends = tokio::time::timeout(Duration::from_secs(100_000), client.download(LINK).to_file(target));
    ends.await.expect("a download ends")
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// What an attacker puts under a name, with a precious file of the user's that it leads to.
fn plant(how: &str, folder: &Folder, name: &str) {
    let (path, precious) = (folder.at(name), folder.at("precious"));
    match how {
        "symlink" => symlink(precious, path).unwrap(),
        "dangling symlink" => symlink(folder.at("missing"), path).unwrap(),
        "symlink loop" => symlink(&path, &path).unwrap(),
        "hard link" => fs::hard_link(precious, path).unwrap(),
        "fifo" => make_fifo(&path),
        "socket" => drop(UnixListener::bind(path).unwrap()),
        "file" => drop(folder.write(name, "planted")),
        other => panic!("{other}"),
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_beside_the_target_is_followed_filled_or_waited_for() {
    for how in ["symlink", "dangling symlink", "symlink loop", "hard link", "fifo", "socket", "file"] {
        for name in ["7.part", "7.part.json", "7.part.new"] {
            let folder = Folder::new();
            folder.write("precious", PRECIOUS);
            plant(how, &folder, name);
            // One that breaks off writes its part and its journal too.
            download(&folder.at("7"), [part("0-9/10", "0123").cut(), reply(404)]).await.unwrap_err();
            assert_eq!(folder.text("precious"), PRECIOUS, "{how} {name}");
            let receipt = download(&folder.at("7"), [part("4-9/10", "456789")]).await.unwrap();
            assert_eq!((receipt.resumed_at(), folder.text("7").as_str()), (4, "0123456789"), "{how} {name}");
            assert_eq!(folder.text("precious"), PRECIOUS, "{how} {name}");
            assert_eq!(folder.names(), ["7", "precious"], "{how} {name}");
            let (result, precious) = (fs::symlink_metadata(folder.at("7")), fs::metadata(folder.at("precious")));
            let (result, precious) = (result.unwrap(), precious.unwrap());
            assert!(result.is_file() && result.nlink() == 1 && result.ino() != precious.ino(), "{how} {name}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_part_that_is_not_plainly_our_own_is_begun_anew() {
    type Tamper = fn(&Folder);
    let tampers: [(&str, Tamper); 7] = [
        ("the part has another name", |folder| fs::hard_link(folder.at("7.part"), folder.at("other")).unwrap()),
        ("the part is a link", |folder| {
            fs::rename(folder.at("7.part"), folder.at("other")).unwrap();
            symlink(folder.at("other"), folder.at("7.part")).unwrap();
        }),
        ("the part is a fifo", |folder| {
            fs::remove_file(folder.at("7.part")).unwrap();
            make_fifo(&folder.at("7.part"));
        }),
        ("the journal has another name", |folder| {
            fs::hard_link(folder.at("7.part.json"), folder.at("other")).unwrap();
        }),
        ("the journal is a link", |folder| {
            fs::rename(folder.at("7.part.json"), folder.at("other")).unwrap();
            symlink(folder.at("other"), folder.at("7.part.json")).unwrap();
        }),
        ("the journal is a fifo", |folder| {
            fs::remove_file(folder.at("7.part.json")).unwrap();
            make_fifo(&folder.at("7.part.json"));
        }),
        ("the journal is too long", |folder| {
            let long = format!("{}{}", folder.text("7.part.json"), " ".repeat(2_000_000));
            folder.write("7.part.json", &long);
        }),
    ];
    for (what, tamper) in tampers {
        let folder = with_part().await;
        tamper(&folder);
        let receipt = download(&folder.at("7"), [whole()]).await.unwrap();
        assert_eq!((receipt.resumed_at(), folder.text("7").as_str()), (0, "0123456789"), "{what}");
        assert!(!folder.names().iter().any(|name| name.contains("part")), "{what}: {:?}", folder.names());
    }
    let folder = with_part().await;
    let receipt = download(&folder.at("7"), [part("4-9/10", "456789")]).await.unwrap();
    assert_eq!((receipt.resumed_at(), folder.text("7").as_str()), (4, "0123456789"), "untouched");
}

#[tokio::test(start_paused = true)]
async fn the_mode_is_that_of_any_new_file() {
    let new = |folder: &Folder| {
        let path = folder.write("new", "");
        fs::metadata(path).unwrap().mode()
    };
    let open_to_all = fs::Permissions::from_mode(0o777);
    // A part of ours whose rights were widened.
    let folder = with_part().await;
    fs::set_permissions(folder.at("7.part"), open_to_all.clone()).unwrap();
    let receipt = download(&folder.at("7"), [part("4-9/10", "456789")]).await.unwrap();
    assert_eq!(receipt.resumed_at(), 4);
    assert_eq!(fs::metadata(folder.at("7")).unwrap().mode(), new(&folder));
    // A target of before, and a planted part.
    for name in ["7", "7.part"] {
        let folder = Folder::new();
        fs::set_permissions(folder.write(name, "old"), open_to_all.clone()).unwrap();
        download(&folder.at("7"), [whole()]).await.unwrap();
        assert_eq!(fs::metadata(folder.at("7")).unwrap().mode(), new(&folder), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_no_regular_file_is_refused_at_once() {
    let folder = Folder::new();
    make_fifo(&folder.at("fifo"));
    let _socket = UnixListener::bind(folder.at("socket")).unwrap();
    fs::create_dir(folder.at("folder")).unwrap();
    symlink(folder.at("fifo"), folder.at("to-fifo")).unwrap();
    symlink(folder.at("folder"), folder.at("to-folder")).unwrap();
    let mut targets = vec![
        (folder.at("fifo"), "a FIFO"),
        (folder.at("socket"), "a socket"),
        (folder.at("folder"), "a folder"),
        (folder.at("to-fifo"), "a FIFO"),
        (folder.at("to-folder"), "a folder"),
    ];
    // As `/dev/null`, and not the machine's own.
    if Command::new("mknod").arg(folder.at("null")).args(["c", "1", "3"]).status().is_ok_and(|status| status.success())
    {
        targets.push((folder.at("null"), "a device"));
    }
    let open = File::open(folder.write("regular", "")).unwrap();
    let by_number = PathBuf::from(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&open)));
    if by_number.exists() {
        targets.push((by_number, "a folder of devices"));
    }
    for (target, what) in targets {
        let service = script([whole()]);
        let error = service.client().build().unwrap().download(LINK).to_file(&target).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{target:?}");
        assert!(error.to_string().contains(what), "{target:?}: {error}");
        assert!(service.requests().is_empty(), "{target:?}");
    }
    assert!(fs::symlink_metadata(folder.at("fifo")).unwrap().file_type().is_fifo());
    assert!(!folder.names().iter().any(|name| name.contains("part")), "{:?}", folder.names());
}

#[tokio::test]
async fn a_fifo_is_written_through_by_a_writer() {
    let folder = Folder::new();
    make_fifo(&folder.at("fifo"));
    let path = folder.at("fifo");
    let reading = std::thread::spawn(move || fs::read(path).unwrap());
    let mut fifo = tokio::fs::File::options().write(true).open(folder.at("fifo")).await.unwrap();
    let client = script([whole()]).client().build().unwrap();
    let receipt = client.download(LINK).to_writer(&mut fifo).await.unwrap();
    drop(fifo);
    assert_eq!(reading.join().unwrap().len() as u64, receipt.bytes());
    assert_eq!(folder.names(), ["fifo"]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_becomes_a_device_meanwhile_is_not_replaced() {
    let folder = Folder::new();
    let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
    let client = service.client().build().unwrap();
    let ended = meanwhile(&client, &folder, || make_fifo(&folder.at("7"))).await;
    assert!(ended.unwrap_err().to_string().contains("a FIFO"));
    assert!(fs::symlink_metadata(folder.at("7")).unwrap().file_type().is_fifo());
}

#[tokio::test(start_paused = true)]
async fn an_exchanged_part_does_not_become_the_target() {
    for planted in ["file", "symlink", "hard link", "fifo"] {
        let folder = Folder::new();
        folder.write("precious", PRECIOUS);
        let service = script([part("0-9/10", "0123").cut(), part("4-9/10", "456789")]);
        let client = service.client().build().unwrap();
        let ended = meanwhile(&client, &folder, || {
            fs::remove_file(folder.at("7.part")).unwrap();
            plant(planted, &folder, "7.part");
        });
        let error = ended.await.unwrap_err();
        assert!(error.kind() == ErrorKind::Io && error.to_string().contains("another file"), "{planted}: {error}");
        assert!(!folder.at("7").exists() && folder.text("precious") == PRECIOUS, "{planted}");
    }
}

/// Downloads to `7`, and does something once four bytes are there.
async fn meanwhile(client: &Client, folder: &Folder, act: impl FnOnce()) -> Result<Receipt, Error> {
    let download = client.download(LINK);
    let mut progress = download.progress();
    let acts = async {
        while progress.now().bytes() < 4 {
            progress.changed().await.expect("it goes on");
        }
        act();
    };
    tokio::join!(download.to_file(folder.at("7")), acts).0
}

#[tokio::test(start_paused = true)]
async fn a_linked_folder_and_a_linked_target_go_on_working() {
    let folder = Folder::new();
    fs::create_dir(folder.at("real")).unwrap();
    symlink(folder.at("real"), folder.at("linked")).unwrap();
    download(&folder.at("linked/7"), [part("0-9/10", "0123").cut(), reply(404)]).await.unwrap_err();
    let receipt = download(&folder.at("linked/7"), [part("4-9/10", "456789")]).await.unwrap();
    assert_eq!((receipt.resumed_at(), folder.text("real/7").as_str()), (4, "0123456789"));
    // A link in the target's own place is replaced, and what it leads to stays.
    for to in ["precious", "missing"] {
        let folder = Folder::new();
        folder.write("precious", PRECIOUS);
        symlink(folder.at(to), folder.at("7")).unwrap();
        download(&folder.at("7"), [whole()]).await.unwrap();
        assert!(fs::symlink_metadata(folder.at("7")).unwrap().is_file(), "{to}");
        assert_eq!((folder.text("precious").as_str(), folder.names()), (PRECIOUS, vec!["7".into(), "precious".into()]));
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_kill_left_of_a_journal_is_swept_after_an_hour() {
    let folder = with_part().await;
    let old = SystemTime::now() - Duration::from_secs(3_700);
    for (name, modified) in [
        ("7.part.0123456789abcdef.new", Some(old)),
        ("7.part.1123456789abcdef.new", None),
        ("8.part.0123456789abcdef.new", Some(old)),
        ("7.part.backup.new", Some(old)),
    ] {
        let file = File::create(folder.at(name)).unwrap();
        modified.map_or(Ok(()), |moment| file.set_modified(moment)).unwrap();
    }
    download(&folder.at("7"), [part("4-9/10", "456789")]).await.unwrap();
    let kept = ["7", "7.part.1123456789abcdef.new", "7.part.backup.new", "8.part.0123456789abcdef.new"];
    assert_eq!(folder.names(), kept);
}

// Two users on one machine.

const ATTACKER: u32 = 60_001;
const VICTIM: u32 = 60_002;
const FOLDER: &str = "LONGHAUL_SHARED_FOLDER";

#[test]
fn one_user_cannot_steer_the_download_of_another() {
    let root = Folder::new();
    let own = fs::metadata(root.path()).unwrap().uid();
    if own != 0 {
        eprintln!("not root: a second user cannot be made, and this test shows nothing");
        return;
    }
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    // The test itself, where other users may run it.
    let test = root.at("test");
    fs::copy(std::env::current_exe().unwrap(), &test).unwrap();
    fs::set_permissions(&test, fs::Permissions::from_mode(0o755)).unwrap();
    let shared = root.at("shared");
    fs::create_dir(&shared).unwrap();
    let home = root.at("home");
    fs::create_dir(&home).unwrap();
    std::os::unix::fs::chown(&home, Some(VICTIM), Some(VICTIM)).unwrap();
    let precious = home.join("precious");
    fs::write(&precious, PRECIOUS).unwrap();
    std::os::unix::fs::chown(&precious, Some(VICTIM), Some(VICTIM)).unwrap();
    // As `/tmp`, and as a folder of a group that everybody may tidy.
    for mode in [0o1777, 0o777] {
        fs::remove_dir_all(&shared).unwrap();
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, fs::Permissions::from_mode(mode)).unwrap();
        let plants = format!(
            "ln -s {precious} link.part && ln -s {precious} journal.part.json && ln -s {precious} scratch.part.new && \
             mkfifo fifo.part && printf EVIL > front.part && chmod 666 front.part && printf '{{}}' > front.part.json && \
             printf EVIL > locked.part",
            precious = precious.display()
        );
        let planted =
            Command::new("sh").args(["-c", &plants]).current_dir(&shared).uid(ATTACKER).gid(ATTACKER).status();
        assert!(planted.unwrap().success());
        let mut victim = again(&test, module_path!(), "the_victim_downloads");
        victim.args(["--ignored", "--nocapture"]).stdout(Stdio::piped());
        victim.env(FOLDER, &shared).current_dir(&shared).uid(VICTIM).gid(VICTIM);
        let output = victim.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && said.contains("1 passed"), "{mode:o}: {said}");
        assert_eq!(fs::read_to_string(&precious).unwrap(), PRECIOUS, "{mode:o}");
        for name in ["link", "journal", "scratch", "fifo", "front", "locked"] {
            let path = shared.join(name);
            let result = fs::symlink_metadata(&path).unwrap();
            assert!(result.is_file() && result.uid() == VICTIM && result.nlink() == 1, "{mode:o} {name}");
            assert_eq!(fs::read_to_string(&path).unwrap(), "0123456789", "{mode:o} {name}");
            assert_eq!(result.mode() & 0o022, 0, "{mode:o} {name}: others may not write");
        }
        let left = fs::read_dir(&shared).unwrap().filter(|entry| {
            let entry = entry.as_ref().unwrap();
            entry.metadata().unwrap().uid() == VICTIM && entry.file_name().to_string_lossy().contains("part")
        });
        assert_eq!(left.count(), 0, "{mode:o}: nothing of the victim's stays beside");
    }
}

/// Runs as another user, started by the test above.
#[tokio::test(start_paused = true)]
#[ignore = "the test of two users starts it"]
async fn the_victim_downloads() {
    let folder = PathBuf::from(std::env::var_os(FOLDER).expect("the shared folder"));
    for name in ["link", "journal", "scratch", "fifo", "front", "locked"] {
        // The first breaks off, so that a journal is written too, where one can be.
        download(&folder.join(name), [part("0-9/10", "0123").cut(), reply(404)]).await.unwrap_err();
        let client = Client::builder("https://api.example.com").http(Store).storage_http(Store).build().unwrap();
        let receipt = match client.download(LINK).to_file(folder.join(name)).await {
            Ok(receipt) => receipt,
            Err(error) => panic!("{name}: {error}"),
        };
        assert_eq!(receipt.bytes(), 10, "{name}");
    }
}

/// Gives what is asked for of ten bytes: whether the part of before could be used, the folder decides.
struct Store;

impl Http for Store {
    fn send(&self, request: Request) -> BoxFuture<'static, Result<Response, HttpError>> {
        let range = request.headers().get("range").and_then(|range| range.to_str().ok());
        let first = range.and_then(|range| range.strip_prefix("bytes=")?.trim_end_matches('-').parse().ok());
        let first: usize = first.unwrap_or_default();
        let headers = [
            ("content-range".parse().unwrap(), format!("bytes {first}-9/10").parse().unwrap()),
            ("etag".parse().unwrap(), "\"v1\"".parse().unwrap()),
        ];
        let response = Response::new(http::StatusCode::PARTIAL_CONTENT, request.url().clone());
        let body = bytes::Bytes::from_static(&b"0123456789"[first..]);
        Box::pin(async move { Ok(response.headers_from(headers.into_iter().collect()).body_from(body)) })
    }
}
