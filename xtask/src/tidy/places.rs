//! No file names a machine, a folder outside the checkout, or the host of a package registry: the project must build and
//! run anywhere.

use super::{Finding, Tree};

/// Beginnings of folders that exist on some machine only. `/srv/app` and `/usr/lib` stand in example events.
const FOLDERS: &[&str] = &["/work/", "/root/", "/home/", "/Users/", "/mnt/"];
/// Registries are reached through their clients, by package name.
const HOSTS: &[&str] =
    &["index.crates.io", "static.crates.io", "pypi.org", "pythonhosted.org", "registry.npmjs.org", "deb.debian.org"];
/// The rule itself must name them, and the rules by which users' folders are told from libraries; lock files are written
/// by the package manager.
const MAY_SAY: &[&str] =
    &["xtask/src/tidy/places.rs", "crates/processing/src/group/rules/base/native.rs", "Cargo.lock"];

pub fn check(tree: &Tree) -> Vec<Finding> {
    let rust = tree.rust.iter().map(|file| (&file.path, &file.text));
    let others = tree.others.iter().map(|file| (&file.path, &file.text));
    let mut findings = Vec::new();
    for (path, text) in rust.chain(others) {
        if MAY_SAY.contains(&path.as_str()) || path.contains("/fixtures/") {
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            let folder = FOLDERS.iter().find(|folder| begins_path(line, folder));
            let host = HOSTS.iter().find(|host| line.contains(*host));
            if let Some(word) = folder.or(host) {
                let text = format!("{word} is a place outside the checkout");
                findings.push(Finding { path: path.clone(), line: index + 1, text });
            }
        }
    }
    findings
}

/// Whether the folder stands at the beginning of a path, not inside one such as `docs/work/`.
fn begins_path(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || "._-}/*$".contains(c))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        check(&Tree::of(&[("docs/a.md", text)])).len()
    }

    #[test]
    fn folders_of_one_machine_are_found() {
        assert_eq!(count("see /work/main/docs\n"), 1);
        assert_eq!(count("`/root/.cargo`\n"), 1);
        assert_eq!(count("docs/work/flow and $HOME/work/x\n"), 0);
    }

    #[test]
    fn registry_hosts_are_found() {
        assert_eq!(count("curl https://pypi.org/simple\n"), 1);
        assert_eq!(count("pip install sentry-sdk\n"), 0);
    }
}
