//! What a user builds: the crate `backoff`, which nobody maintains, is in no tree that did not ask for it.
//!
//! Alone: it runs cargo and needs nothing of the crate, so nothing is linked to it.

#![cfg(test)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn the_lock_file_of_a_user_names_backoff_only_with_the_feature() {
    // With the feature both are there: the look at the lock file can tell.
    assert_eq!(named(&User::new("with", r#", features = ["backoff"]"#).lock()), ["backoff", "instant"]);
    for (test, options) in [
        ("default", ""),
        ("others", r#", features = ["gzip", "native-tls", "tower", "testing", "bundled-time-zones"]"#),
        ("bare", ", default-features = false"),
    ] {
        assert!(named(&User::new(test, options).lock()).is_empty(), "{test}");
    }
}

#[test]
fn the_tree_of_a_user_has_no_backoff_by_default() {
    let tree = User::new("tree", "").cargo(&["tree", "--edges", "all", "--prefix", "none"]);
    assert!(tree.contains("longhaul v") && tree.contains("\nserde v"), "{tree}");
    let found = tree.lines().find(|line| line.starts_with("backoff v") || line.starts_with("instant v"));
    assert_eq!(found, None);
}

/// A user's crate, which depends on this one; gone when it is dropped.
struct User(PathBuf);

impl User {
    fn new(test: &str, options: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("user-{test}-{}", std::process::id()));
        let ours = Path::new(env!("CARGO_MANIFEST_DIR"));
        fs::create_dir_all(folder.join("src")).unwrap();
        fs::write(folder.join("src/lib.rs"), "").unwrap();
        let manifest = format!(
            "[package]\nname = \"user\"\nedition = \"2024\"\n[workspace]\n[dependencies]\nlonghaul = {{ path = {ours:?}{options} }}\n",
        );
        fs::write(folder.join("Cargo.toml"), manifest).unwrap();
        // Our own lock file names all, and cargo leaves out what is not asked for: no registry is needed.
        fs::copy(ours.join("Cargo.lock"), folder.join("Cargo.lock")).unwrap();
        Self(folder)
    }

    fn lock(&self) -> String {
        self.cargo(&["update", "--workspace"]);
        fs::read_to_string(self.0.join("Cargo.lock")).unwrap()
    }

    fn cargo(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(env!("CARGO"));
        let output = command.args(arguments).arg("--offline").current_dir(&self.0).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for User {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Which of the two a lock file names.
fn named(lock: &str) -> Vec<&'static str> {
    assert!(lock.contains("name = \"longhaul\"") && lock.contains("name = \"user\""), "{lock}");
    ["backoff", "instant"].into_iter().filter(|name| lock.contains(&format!("name = \"{name}\"\n"))).collect()
}
