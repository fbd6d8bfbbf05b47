//! Runtime options: what the installation can be told while it runs. The table of keys is the binary's; what flags,
//! environment or file say is stronger than the store, so an option that stands there is shown and not changed here.

use crate::permissions::Permission;
use crate::{Actor, ApiError, Caller, Ops, audit};
use store::options::OptionRow;

/// Bytes of a value; options are short words and numbers.
const VALUE_BYTES_MAX: usize = 4_096;

/// One key of the configuration, as this process knows it now.
#[derive(Clone, Debug)]
pub struct KnownOption {
    pub name: &'static str,
    /// In words: `a whole number from 0 to 256`.
    pub takes: String,
    pub help: &'static str,
    /// Empty = not set.
    pub default: &'static str,
    /// Whether it may stand in the store.
    pub is_runtime: bool,
    /// Whether running processes take a change up.
    pub is_live: bool,
    pub is_secret: bool,
    /// What flag, environment or file says; secrets left out.
    pub on_disk: Option<OnDisk>,
}

/// A value that is stronger than the store's.
#[derive(Clone, Debug)]
pub struct OnDisk {
    pub value: String,
    /// Flag, environment variable, or file and line.
    pub place: String,
}

/// The binary's table of keys.
pub struct Catalogue {
    pub list: Box<dyn Fn() -> Vec<KnownOption> + Send + Sync>,
    /// Says what is wrong with a value of a key.
    pub check: fn(name: &str, value: &str) -> Result<(), String>,
    /// Says which key was probably meant, or nothing.
    pub hint: fn(name: &str) -> String,
}

/// A key with its value, for people.
#[derive(Clone, Debug)]
pub struct OptionView {
    pub known: KnownOption,
    /// What is in force, unless a running process has not taken it up yet.
    pub value: String,
    /// `default`, `runtime option`, or the place on disk.
    pub source: String,
    /// What stands in the store, by whom and since when; also where the disk overrules it.
    pub stored: Option<OptionRow>,
}

impl OptionView {
    /// Whether setting it would have an effect.
    pub fn can_be_set(&self) -> bool {
        self.known.is_runtime && self.known.on_disk.is_none()
    }
}

/// Returns every key with its value and where that came from.
///
/// # Errors
/// `SuperuserNeeded` for whoever is none.
pub async fn list(cx: &Ops, actor: &Actor) -> Result<Vec<OptionView>, ApiError> {
    actor.require_superuser()?;
    let stored = cx.read("read the runtime options", |tx| Ok(store::options::list(tx)?)).await?;
    let views = (cx.options.list)().into_iter().map(|known| view(known, &stored));
    Ok(views.collect())
}

fn view(known: KnownOption, stored: &[OptionRow]) -> OptionView {
    let stored = stored.iter().find(|row| row.name == known.name && known.is_runtime).cloned();
    let (value, source) = match (&known.on_disk, &stored) {
        (Some(on_disk), _) => (on_disk.value.clone(), on_disk.place.clone()),
        (None, Some(_)) if known.is_secret => ("[redacted]".to_owned(), "runtime option".to_owned()),
        (None, Some(row)) => (row.value.clone(), "runtime option".to_owned()),
        (None, None) => (known.default.to_owned(), "default".to_owned()),
    };
    OptionView { known, value, source, stored }
}

/// Sets an option. Every process takes it up within five seconds, or at its next start where the option says so.
///
/// # Errors
/// `PermissionMissing` without `options.admin`, `Invalid` for an unknown key or a value it does not take, `Conflict` where
/// it cannot be set at run time or stands on disk.
pub async fn set(cx: &Ops, caller: &Caller, name: &str, value: &str) -> Result<OptionView, ApiError> {
    let known = changeable(cx, caller, name)?;
    if value.len() > VALUE_BYTES_MAX {
        return Err(ApiError::invalid(format!("{name}: longer than {VALUE_BYTES_MAX} bytes.")));
    }
    (cx.options.check)(name, value).map_err(|text| ApiError::invalid(format!("{name}: {text}")))?;
    let row = OptionRow {
        name: name.to_owned(),
        value: value.to_owned(),
        changed_at: cx.clock.now(),
        changed_by: caller.actor_name(),
        channel: caller.channel().as_str().to_owned(),
    };
    // A secret is named in the log and not shown.
    let detail = if known.is_secret { "[redacted]" } else { value };
    let note = audit::Note::new("option.set", name).detail(detail);
    let (caller, stored) = (caller.clone(), row.clone());
    cx.write("set a runtime option", move |tx| {
        store::options::set(tx, &row)?;
        audit::note(tx, &caller, &note, row.changed_at)
    })
    .await?;
    Ok(view(known, &[stored]))
}

/// Unsets an option: its default is in force again. Returns whether it was set.
///
/// # Errors
/// As `set`.
pub async fn delete(cx: &Ops, caller: &Caller, name: &str) -> Result<bool, ApiError> {
    changeable(cx, caller, name)?;
    let note = audit::Note::new("option.delete", name);
    let (caller, name, now) = (caller.clone(), name.to_owned(), cx.clock.now());
    cx.write("unset a runtime option", move |tx| {
        let was_set = store::options::delete(tx, &name)?;
        if was_set {
            audit::note(tx, &caller, &note, now)?;
        }
        Ok(was_set)
    })
    .await
}

/// Returns the key if a change of it in the store would have an effect.
fn changeable(cx: &Ops, caller: &Caller, name: &str) -> Result<KnownOption, ApiError> {
    caller.require_permission(Permission::OptionsAdmin)?;
    let known = (cx.options.list)().into_iter().find(|known| known.name == name);
    let known = known.ok_or_else(|| ApiError::invalid(format!("unknown option {name}{}", (cx.options.hint)(name))))?;
    if !known.is_runtime {
        let detail =
            format!("{name} cannot be changed at run time; set it in vigie.toml or the environment and restart.");
        return Err(ApiError::Conflict { detail });
    }
    if let Some(OnDisk { place, .. }) = &known.on_disk {
        let detail = format!("{name} is set by {place}, which is stronger than a runtime option; change it there.");
        return Err(ApiError::Conflict { detail });
    }
    Ok(known)
}

impl Default for Catalogue {
    /// No keys at all: what is not told of a configuration lists and changes none.
    fn default() -> Self {
        Catalogue { list: Box::new(Vec::new), check: |_, _| Ok(()), hint: |_| String::new() }
    }
}
