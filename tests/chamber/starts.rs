//! Refusals of a chamber at its start. Each names the mistake and the remedy.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::Path;

use sealprove::secret::PrivateKey;

use super::harness::{command, id_of, make_key, write_key};
use crate::kit::rogue;

/// Starts a chamber on a folder of keys that `prepare` has made; what it says on standard error.
#[track_caller]
fn refuses(circuit: &str, prepare: impl FnOnce(&Path)) -> String {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    prepare(&keys);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let mut command = command(&rogue(), folder.path(), theirs);
    let status = command.args(["--jobs-max", "1", "--sandbox", "on", "--circuit", circuit]).status().unwrap();
    drop(ours);
    let said = fs::read_to_string(folder.path().join("log")).unwrap();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(!folder.path().join("chamber.sock").exists());
    said
}

#[track_caller]
fn says(said: &str, parts: &[&str]) {
    for part in parts {
        assert!(said.contains(part), "expected {part:?} in: {said}");
    }
}

/// The file of a new key, and the key.
fn make(keys: &Path) -> (std::path::PathBuf, PrivateKey) {
    let key = make_key(keys);
    (keys.join(format!("{}.x25519", id_of(&key))), key)
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    for mode in [0o604, 0o644, 0o602, 0o601] {
        let said = refuses("sleeps-v1", |keys| {
            let (path, key) = make(keys);
            write_key(&path, key.expose(), mode);
        });
        says(&said, &[".x25519", "others can read it", "chmod o-rwx"]);
    }
}

#[test]
fn a_key_of_another_length_is_refused() {
    for length in [0, 31, 33, 64] {
        let said = refuses("sleeps-v1", |keys| write_key(&make(keys).0, &vec![7; length], 0o600));
        says(&said, &[".x25519", "expected 32 raw bytes", "sealprove keys new"]);
    }
}

#[test]
fn a_key_under_another_name_is_refused() {
    let said = refuses("sleeps-v1", |keys| {
        let path = make(keys).0;
        fs::rename(&path, keys.join("00112233445566778899aabbccddeeff.x25519")).unwrap();
    });
    says(&said, &["00112233445566778899aabbccddeeff.x25519", "holds the key", "not its name"]);
}

#[test]
fn a_folder_without_a_key_is_refused() {
    says(&refuses("sleeps-v1", |_| {}), &["no *.xwing and no *.x25519 file", "sealprove keys new"]);
    let said = refuses("sleeps-v1", |keys| fs::remove_dir(keys).unwrap());
    says(&said, &["keys", "No such file or directory"]);
}

#[test]
fn a_circuit_whose_keys_differ_from_its_pin_is_refused() {
    let said = refuses("differs-v1", |keys| drop(make(keys)));
    says(&said, &["differs-v1", "pins", "but built", "give a changed circuit a new name"]);
}

#[test]
fn no_refusal_repeats_a_key() {
    let mut digits = String::new();
    let said = refuses("sleeps-v1", |keys| {
        let (path, key) = make(keys);
        digits = hex::encode(key.expose());
        write_key(&path, key.expose(), 0o644);
    });
    assert!(!said.contains(&digits) && !said.contains(&digits[..16]));
}
