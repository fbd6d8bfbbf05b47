//! The scripts that run inside the server, each one step that happens whole or not at all. They lie beside this file.

use redis::{Connection, RedisResult};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Script {
    Publish,
    Claim,
    Extend,
    Finish,
    Held,
    Depths,
    Total,
    Upkeep,
    Unpark,
    Waiting,
    Purge,
    Locate,
    Fire,
    Exhume,
    Chord,
    Marker,
    Renew,
    Names,
}

const COMMON: &str = include_str!("scripts/common.lua");

/// In the order of the enum. Those that free memory in the end run on a full server too.
const ALL: [(Script, &str, bool); 18] = [
    (Script::Publish, include_str!("scripts/publish.lua"), false),
    (Script::Claim, include_str!("scripts/claim.lua"), true),
    (Script::Extend, include_str!("scripts/extend.lua"), true),
    (Script::Finish, include_str!("scripts/finish.lua"), true),
    (Script::Held, include_str!("scripts/held.lua"), true),
    (Script::Depths, include_str!("scripts/depths.lua"), true),
    (Script::Total, include_str!("scripts/total.lua"), true),
    (Script::Upkeep, include_str!("scripts/upkeep.lua"), true),
    (Script::Unpark, include_str!("scripts/unpark.lua"), true),
    (Script::Waiting, include_str!("scripts/waiting.lua"), true),
    (Script::Purge, include_str!("scripts/purge.lua"), true),
    (Script::Locate, include_str!("scripts/locate.lua"), true),
    (Script::Fire, include_str!("scripts/fire.lua"), false),
    (Script::Exhume, include_str!("scripts/exhume.lua"), true),
    (Script::Chord, include_str!("scripts/chord.lua"), true),
    (Script::Marker, include_str!("scripts/marker.lua"), true),
    (Script::Renew, include_str!("scripts/renew.lua"), true),
    (Script::Names, include_str!("scripts/names.lua"), true),
];

/// The names by which a server knows the scripts.
pub(super) struct Scripts(Vec<String>);

impl Scripts {
    pub fn hash_of(&self, script: Script) -> &str {
        &self.0[script as usize]
    }
}

/// Makes the scripts known to the server. Release 7 lets a script say that it may run on a full server; an older one
/// refuses before the first write, which every script makes before it takes anything away.
pub(super) fn load(connection: &mut Connection, version: (u32, u32)) -> RedisResult<Scripts> {
    let mut pipeline = redis::pipe();
    for (_, text, frees) in ALL {
        let flags = if frees && version.0 >= 7 { "#!lua flags=allow-oom\n" } else { "" };
        pipeline.cmd("SCRIPT").arg("LOAD").arg(format!("{flags}{COMMON}\n{text}"));
    }
    pipeline.query(connection).map(Scripts)
}

#[cfg(test)]
mod tests {
    #[test]
    fn scripts_stand_in_the_order_of_their_names() {
        for (index, (script, ..)) in super::ALL.iter().enumerate() {
            assert_eq!(*script as usize, index, "{script:?}");
        }
    }
}
