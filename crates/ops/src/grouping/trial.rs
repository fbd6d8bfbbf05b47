//! The grouping lab: what other rules would make of the newest stored events, worked out the way the digest would if
//! they came again; and setting them so that issues go on where they can.

use crate::context::Failure;
use crate::events::{issue_of, newest_of_project, project_of, with_event};
use crate::issues::{Issue, rows};
use crate::project_settings::{self, ProjectSettings};
use crate::projects::{ProjectRef, UpdateProject};
use crate::{Actor, ApiError, Caller, Ops, Scope, lookup};
use processing::group::{self, Grouper, Hash16, key_of};
use std::collections::{BTreeMap, HashMap};
use std::time::{Duration, Instant};
use store::Stores;
use store::events::StoredEvent;
use store::issues::strands;

/// Events that are looked at, at most.
pub const EVENTS_MAX: usize = 1_000;
/// Time a trial takes at most; what it has seen by then it tells.
const TIME_MAX: Duration = Duration::from_secs(5);
/// Issues that are told of.
const OUTCOMES_MAX: usize = 100;

/// What to try.
#[derive(Clone, Debug)]
pub struct Trial {
    pub config: String,
    pub stack_rules: String,
    pub fingerprint_rules: String,
    /// The revision of the project's grouping that this changes.
    pub revision: u64,
    /// The newest events that are looked at.
    pub events: usize,
}

#[derive(Clone, Debug, Default)]
pub struct TrialReport {
    pub examined: usize,
    /// Events that stay where they are.
    pub unchanged: usize,
    /// Issues of which events would go elsewhere, most events first.
    pub outcomes: Vec<Outcome>,
    pub outcomes_left_out: usize,
    /// The time ran out before all were looked at.
    pub is_cut: bool,
}

/// What becomes of an issue's events.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub issue: Issue,
    pub destinations: Vec<(Destination, usize)>,
}

/// Where events would go.
#[derive(Clone, Debug)]
pub enum Destination {
    /// Where they are.
    Same,
    /// To another issue that is there.
    Other(Box<Issue>),
    /// To a new issue, by its first hash; events of that many issues meet there.
    New { hash: String, issues: usize },
}

/// A place events would go to while they are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Place {
    Issue(i64),
    New(Hash16),
}

/// What was found, by the issue that events are of now.
#[derive(Default)]
struct Moves {
    examined: usize,
    is_cut: bool,
    by_issue: BTreeMap<i64, BTreeMap<Place, usize>>,
    /// The new hashes of each place, as they were met.
    hashes: HashMap<Place, Vec<Hash16>>,
}

/// Tries rules out on the newest stored events of a project; nothing is changed.
///
/// # Errors
/// `NotFound` if the project is not there or not the actor's, `Invalid` if the rules are none, naming line and limit.
pub async fn trial(cx: &Ops, actor: &Actor, input: &ProjectRef, trial: Trial) -> Result<TrialReport, ApiError> {
    let project_id = project_of(cx, actor, &input.org, &input.project).await?;
    let public_url = cx.public_url();
    cx.blocking("try grouping rules", move |stores| {
        let moves = moves(stores, project_id, &trial)?;
        report(stores, &moves, &public_url)
    })
    .await
}

/// Sets what was tried. Issues whose events would all get new hashes go on: the hashes that the trial saw are led to
/// them, each new place to the issue most of its events are of.
///
/// # Errors
/// As for `trial`, `Forbidden` without `project:write`, and `Conflict` if the project's grouping is of another revision by
/// now. Nothing is set then.
pub async fn apply(cx: &Ops, caller: &Caller, input: &ProjectRef, trial: Trial) -> Result<ProjectSettings, ApiError> {
    caller.require(Scope::ProjectWrite)?;
    let project_id = project_of(cx, caller, &input.org, &input.project).await?;
    let wanted = trial.clone();
    let moves = cx.blocking("try grouping rules", move |stores| moves(stores, project_id, &wanted)).await?;
    let (now, caller, input) = (cx.clock.now(), caller.clone(), UpdateProject::of(input.clone()));
    cx.write("set grouping rules", move |tx| {
        let settings = project_settings::update_within(tx, &caller, &input, now, |settings| {
            if settings.grouping.revision != trial.revision {
                let detail = "The rules were changed meanwhile. Nothing was set; set again to replace them.".to_owned();
                return Err(ApiError::Conflict { detail });
            }
            settings.grouping.config = trial.config;
            settings.grouping.stack_rules = trial.stack_rules;
            settings.grouping.fingerprint_rules = trial.fingerprint_rules;
            Ok(())
        })?;
        for (issue_id, hash) in heirs(&moves) {
            strands::lead(tx, project_id, (key_of(&hash), &stdx::hex::encode(&hash)), issue_id, now)?;
        }
        Ok(settings)
    })
    .await
}

fn moves(stores: &Stores, project_id: i64, trial: &Trial) -> Result<Moves, Failure> {
    let settings = group::Settings {
        config: trial.config.clone(),
        stack_rules: trial.stack_rules.clone(),
        fingerprint_rules: trial.fingerprint_rules.clone(),
        ..group::Settings::default()
    };
    let grouper = Grouper::new(&settings).map_err(|error| ApiError::invalid(format!("Grouping: {error}.")))?;
    let started = Instant::now();
    let mut events = newest_of_project(stores, project_id, trial.events.clamp(1, EVENTS_MAX))?;
    // As they came: what an event makes known, later ones find.
    events.reverse();
    let mut moves = Moves::default();
    let mut known: HashMap<i64, Option<Place>> = HashMap::new();
    for event in &events {
        if started.elapsed() > TIME_MAX {
            moves.is_cut = true;
            break;
        }
        let Some(issue_id) = issue_of(stores, event)? else { continue };
        let hashes = with_event(stores, event, |event, _| group::group(event, &grouper.config).hashes)?;
        let place = place_of(stores, event, &hashes, &mut known)?;
        moves.examined += 1;
        *moves.by_issue.entry(issue_id).or_default().entry(place).or_default() += 1;
        let seen = moves.hashes.entry(place).or_default();
        seen.extend(hashes.iter().filter(|hash| !seen.contains(hash)).copied().collect::<Vec<_>>());
    }
    Ok(moves)
}

/// The first hash that leads somewhere decides, and the others lead there from then on.
fn place_of(
    stores: &Stores,
    event: &StoredEvent,
    hashes: &[Hash16],
    known: &mut HashMap<i64, Option<Place>>,
) -> Result<Place, Failure> {
    let mut found = None;
    for hash in hashes {
        let key = key_of(hash);
        if let std::collections::hash_map::Entry::Vacant(vacant) = known.entry(key) {
            let issue_id = stores.db.read_blocking(|tx| store::issues::id_by_group(tx, event.project_id, key))?;
            vacant.insert(issue_id.map(Place::Issue));
        }
        found = found.or(known.get(&key).copied().flatten());
    }
    let place = found.unwrap_or_else(|| Place::New(hashes.first().copied().unwrap_or_default()));
    for hash in hashes {
        known.entry(key_of(hash)).or_default().get_or_insert(place);
    }
    Ok(place)
}

/// Which issue goes on in which new place, as pairs of issue and hash: an issue goes on in one place only, and not where
/// events of its stay.
fn heirs(moves: &Moves) -> Vec<(i64, Hash16)> {
    let mut wishes: Vec<(usize, i64, Place)> = Vec::new();
    for (issue_id, places) in &moves.by_issue {
        let stays = places.contains_key(&Place::Issue(*issue_id));
        let new = places.iter().filter(|(place, _)| matches!(place, Place::New(_)) && !stays);
        wishes.extend(new.map(|(place, count)| (*count, *issue_id, *place)));
    }
    wishes.sort_by(|a, b| b.cmp(a));
    let (mut issues, mut places) = (Vec::new(), Vec::new());
    for (_, issue_id, place) in wishes {
        if !issues.contains(&issue_id) && !places.contains(&place) {
            issues.push(issue_id);
            places.push(place);
        }
    }
    let hashes_of = |place| moves.hashes.get(place).into_iter().flatten().copied();
    issues.into_iter().zip(&places).flat_map(|(issue, place)| hashes_of(place).map(move |hash| (issue, hash))).collect()
}

fn report(stores: &Stores, moves: &Moves, public_url: &str) -> Result<TrialReport, Failure> {
    let mut meeting: HashMap<Place, usize> = HashMap::new();
    for place in moves.by_issue.values().flat_map(BTreeMap::keys) {
        *meeting.entry(*place).or_default() += 1;
    }
    let mut report = TrialReport { examined: moves.examined, is_cut: moves.is_cut, ..TrialReport::default() };
    let mut changed: Vec<(&i64, &BTreeMap<Place, usize>)> = Vec::new();
    for (issue_id, places) in &moves.by_issue {
        let staying = places.get(&Place::Issue(*issue_id)).copied().unwrap_or_default();
        report.unchanged += staying;
        if places.keys().any(|place| *place != Place::Issue(*issue_id)) {
            changed.push((issue_id, places));
        }
    }
    changed.sort_by_key(|(_, places)| std::cmp::Reverse(places.values().sum::<usize>()));
    report.outcomes_left_out = changed.len().saturating_sub(OUTCOMES_MAX);
    for (issue_id, places) in changed.into_iter().take(OUTCOMES_MAX) {
        let mut destinations = Vec::new();
        for (place, count) in places {
            destinations.push((destination(stores, *issue_id, *place, &meeting, public_url)?, *count));
        }
        destinations.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        report.outcomes.push(Outcome { issue: issue(stores, *issue_id, public_url)?, destinations });
    }
    Ok(report)
}

fn destination(
    stores: &Stores,
    issue_id: i64,
    place: Place,
    meeting: &HashMap<Place, usize>,
    public_url: &str,
) -> Result<Destination, Failure> {
    Ok(match place {
        Place::Issue(id) if id == issue_id => Destination::Same,
        Place::Issue(id) => Destination::Other(Box::new(issue(stores, id, public_url)?)),
        Place::New(hash) => Destination::New {
            hash: stdx::hex::encode(&hash),
            issues: meeting.get(&place).copied().unwrap_or_default(),
        },
    })
}

fn issue(stores: &Stores, id: i64, public_url: &str) -> Result<Issue, Failure> {
    stores.db.read_blocking(|tx| {
        let row = store::issues::row(tx, id)?.ok_or(ApiError::NotFound)?;
        let project = lookup::project_by_id(tx, row.project_id)?;
        Ok(rows::issue(row, &project, public_url))
    })
}
