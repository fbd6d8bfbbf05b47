//! What a process and a folder use, read from the system.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Kernel ticks a second, fixed on Linux.
const TICKS_A_SECOND: f64 = 100.0;

/// Memory and processor time of one process.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub rss_mib: f64,
    pub rss_peak_mib: f64,
    pub cpu_seconds: f64,
}

/// Returns what the process uses; zeros once it has ended.
pub fn of_process(pid: u32) -> Usage {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let kib = line.and_then(|rest| rest.split_whitespace().next()?.parse::<f64>().ok());
        kib.unwrap_or_default() / 1024.0
    };
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name may hold spaces; what follows its closing bracket does not.
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: f64 = after_name.split_whitespace().skip(11).take(2).filter_map(|text| text.parse::<f64>().ok()).sum();
    Usage { rss_mib: field("VmRSS:"), rss_peak_mib: field("VmHWM:"), cpu_seconds: ticks / TICKS_A_SECOND }
}

/// Returns the processor seconds of a process and of all that live in the group that it leads: a script's server too.
pub fn cpu_with_group(leader: u32) -> f64 {
    let Ok(processes) = std::fs::read_dir("/proc") else { return 0.0 };
    let pids = processes.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| *pid == leader || group_of(*pid) == Some(leader)).map(|pid| of_process(pid).cpu_seconds).sum()
}

fn group_of(pid: u32) -> Option<u32> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit(')').next()?.split_whitespace().nth(2)?.parse().ok()
}

/// Returns the disk space of every file under a folder, in bytes (blocks, not lengths).
pub fn disk_bytes(folder: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    let mut total = 0;
    for entry in entries.flatten() {
        // A file that goes away while it is counted uses nothing.
        let Ok(metadata) = entry.metadata() else { continue };
        total += if metadata.is_dir() { disk_bytes(&entry.path()) } else { metadata.blocks() * 512 };
    }
    total
}

/// Returns path and bytes of every file under a folder, largest first.
pub fn largest_files(folder: &Path) -> Vec<(String, u64)> {
    let mut files = Vec::new();
    collect(folder, folder, &mut files);
    files.sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    files
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, u64)>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let Ok(metadata) = entry.metadata() else { continue };
        let path = entry.path();
        if metadata.is_dir() {
            collect(root, &path, files);
        } else {
            let name = path.strip_prefix(root).unwrap_or(&path).display().to_string();
            files.push((name, metadata.blocks() * 512));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_uses_memory() {
        let usage = of_process(std::process::id());
        assert!(usage.rss_mib > 0.5 && usage.rss_peak_mib >= usage.rss_mib, "{usage:?}");
        assert!(of_process(u32::MAX).rss_mib < 0.1);
    }
}
