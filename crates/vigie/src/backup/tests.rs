//! Backups that are whole, harmed, hostile, of another release, or not finished.

use super::*;
use std::path::PathBuf;

/// A small backup: a file of each kind.
fn written() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().expect("a folder");
    let folder = place.path().join("backup");
    let head = Head::now(1, "embedded".to_owned(), 3, stdx::Timestamp::from_seconds(1_000_000));
    let mut writer = Writer::begin(&folder, &head).expect("begun");
    for path in ["queue/00000001.log", "queue/dead/00000001.state", "metadata.sqlite"] {
        writer.add(path, &mut format!("what is in {path}").as_bytes()).expect("added");
    }
    writer.add(CONFIGURATION_FILE, &mut &b"x = 1"[..]).expect("added");
    assert_eq!(writer.finish().expect("finished").files, 4);
    (place, folder)
}

fn restore(folder: &Path) -> Result<Vec<String>, String> {
    let place = tempfile::tempdir().expect("a folder");
    let backup = Backup::open(folder).map_err(|error| format!("{error:#}"))?;
    let verified = backup.verify().map_err(|error| format!("{error:#}"));
    let copied = backup.copy_to(place.path()).map_err(|error| format!("{error:#}"));
    assert_eq!(verified, copied, "a look finds what a restore finds");
    copied?;
    let mut found = Vec::new();
    let mut folders = vec![place.path().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("listed").flatten() {
            match entry.path().is_dir() {
                true => folders.push(entry.path()),
                false => found.push(entry.path().strip_prefix(place.path()).expect("below").display().to_string()),
            }
        }
    }
    found.sort();
    Ok(found)
}

fn replace_in_manifest(folder: &Path, from: &str, to: &str) {
    use sha2::Digest;
    let path = folder.join(manifest::NAME);
    let text = std::fs::read_to_string(&path).expect("read");
    let text = text.replacen(from, to, 1);
    let (lines, _) = text.trim_end().rsplit_once('\n').expect("it has several lines");
    let lines = format!("{lines}\n");
    let bytes: u64 = lines.lines().skip(1).filter_map(bytes_of).sum();
    let sha256 = stdx::hex::encode(&sha2::Sha256::digest(&lines));
    let files = lines.lines().count() - 1;
    let end = format!("{{\"files\":{files},\"bytes\":{bytes},\"sha256\":\"{sha256}\"}}\n");
    std::fs::write(path, lines + &end).expect("written");
}

fn bytes_of(line: &str) -> Option<u64> {
    serde_json::from_str::<serde_json::Value>(line).ok()?["bytes"].as_u64()
}

#[test]
fn a_whole_backup_comes_back_without_what_is_for_people() {
    let (_place, folder) = written();
    let expected = ["metadata.sqlite", "queue/00000001.log", "queue/dead/00000001.state"];
    assert_eq!(restore(&folder).expect("restored"), expected);
}

#[test]
fn a_file_that_was_cut_changed_grown_taken_or_replaced_is_named() {
    type Harm = fn(&Path);
    let harms: [(Harm, &str); 5] = [
        (|path| std::fs::write(path, "what is").expect("written"), "metadata.sqlite is cut short"),
        (|path| std::fs::write(path, "what is in metadata.sqlitf").expect("written"), "metadata.sqlite is damaged"),
        (|path| std::fs::write(path, "what is in metadata.sqlite and more").expect("written"), "is longer than the 26"),
        (|path| std::fs::remove_file(path).expect("removed"), "metadata.sqlite is missing"),
        (
            |path| {
                std::fs::rename(path, path.with_extension("away")).expect("renamed");
                std::os::unix::fs::symlink(path.with_extension("away"), path).expect("linked");
            },
            "is not a file",
        ),
    ];
    for (harm, expected) in harms {
        let (_place, folder) = written();
        harm(&folder.join("metadata.sqlite"));
        let said = restore(&folder).expect_err(expected);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn every_cut_and_every_flipped_bit_of_the_manifest_is_noticed() {
    let (_place, folder) = written();
    let path = folder.join(manifest::NAME);
    let whole = std::fs::read(&path).expect("read");
    for cut in 0..whole.len() {
        std::fs::write(&path, &whole[..cut]).expect("written");
        assert!(restore(&folder).is_err(), "cut at {cut}");
    }
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1 << (place % 8);
        std::fs::write(&path, &bytes).expect("written");
        assert!(restore(&folder).is_err(), "a bit flipped at {place}");
    }
}

#[test]
fn a_manifest_with_right_checksums_leads_nowhere_but_into_the_data_directory() {
    for hostile in [
        "../metadata.sqlite",
        "/etc/passwd",
        "queue/../../x",
        "events/../../x.sqlite",
        "queue/00000001.log/../../../x",
        "blobs/ab/cd/../../../x",
        "spool/../queue/00000001.log",
        "restore.unfinished",
        "vigie.toml",
        "queue//00000001.log",
    ] {
        let (_place, folder) = written();
        replace_in_manifest(&folder, "\"metadata.sqlite\"", &format!("\"{hostile}\""));
        let said = restore(&folder).expect_err(hostile);
        assert!(said.contains("which is no file of a backup"), "{hostile}: {said}");
    }
    let (_place, folder) = written();
    replace_in_manifest(&folder, "metadata.sqlite", "queue/00000002.log");
    let said = restore(&folder).expect_err("it has no metadata");
    assert!(said.contains("names no metadata"), "{said}");
    let (place, folder) = written();
    replace_in_manifest(&folder, "queue/dead/00000001.state", "queue/00000001.log");
    let backup = Backup::open(&folder).expect("the manifest is whole");
    assert!(backup.copy_to(place.path()).is_err(), "a file that is named twice");
}

#[test]
fn a_backup_of_a_later_release_says_so() {
    for (from, to) in [("\"format\":1", "\"format\":2,\"new\":[]"), ("\"migration\":1", "\"migration\":4000000000")] {
        let (_place, folder) = written();
        replace_in_manifest(&folder, from, to);
        let said = restore(&folder).expect_err(to);
        assert!(said.contains("restore it with that"), "{said}");
    }
}

#[test]
fn what_was_not_finished_is_no_backup_and_takes_its_files_away() {
    let place = tempfile::tempdir().expect("a folder");
    let head = Head::now(1, "embedded".to_owned(), 0, stdx::Timestamp::from_seconds(1_000_000));
    let mut writer = Writer::begin(place.path(), &head).expect("begun");
    writer.add("metadata.sqlite", &mut &b"a"[..]).expect("added");
    let said = Backup::open(place.path()).err().expect("it is none").to_string();
    assert!(said.contains("was not finished"), "{said}");
    assert!(Writer::begin(place.path(), &head).is_err(), "two into one folder");
    drop(writer);
    assert_eq!(std::fs::read_dir(place.path()).expect("listed").count(), 0);
    let said = Backup::open(place.path()).err().expect("it is none").to_string();
    assert!(said.contains("holds no backup"), "{said}");
}
