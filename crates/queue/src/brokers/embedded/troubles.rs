//! What a person must look at in the queue's folder although the queue works.

use super::Inner;
use std::path::Path;

/// Files that are named; beyond, their number says enough.
const NAMED_MAX: usize = 5;

const PAUSES_DAMAGED: &str = "the list of paused queues could not be read, so every queue is held: resume those that \
                              should go on with `vigie queues resume`";

impl Inner {
    /// A line for each trouble.
    pub fn troubles(&mut self) -> Vec<String> {
        let mut files = self.log.damaged_files();
        files.extend(self.dead.damaged_files());
        let mut lines: Vec<String> = files.iter().take(NAMED_MAX).map(|path| line_of(path)).collect();
        if let Some(more) = files.len().checked_sub(NAMED_MAX).filter(|more| *more > 0) {
            lines.push(format!("{more} more files of the queue are damaged"));
        }
        if self.are_pauses_damaged {
            lines.push(PAUSES_DAMAGED.to_owned());
        }
        lines
    }
}

fn line_of(path: &Path) -> String {
    let shown = path.display();
    match path.extension().and_then(|kind| kind.to_str()) {
        Some("damaged") => format!("{shown} was put aside: a part of it could not be read; look at it and remove it"),
        Some("lost") => {
            let log = path.with_extension("log");
            format!("{} is missing, what waited in it is lost; remove {shown} when that is settled", log.display())
        }
        _ => format!("{shown} is damaged: a part of it could not be read"),
    }
}
