//! Exception groups: errors that one error bundles (`ExceptionGroup`, `AggregateError`). Equal ones count once; a group
//! of one kind of error is that error.

use super::Components;
use protocol::event::{Event, Exception, Mechanism};
use std::collections::HashMap;

/// The deepest tree that is followed; beyond it the list is grouped as it is.
const DEPTH_MAX: usize = 900;

/// The tree that mechanisms tell of, by places in the event's list.
struct Tree<'e, 'a> {
    exceptions: &'e [Exception<'a>],
    by_id: HashMap<u64, usize>,
    /// In reverse order of the list.
    children: HashMap<u64, Vec<usize>>,
}

/// How far a walk through the tree has come.
#[derive(Default)]
struct Walk {
    depth: usize,
    visits: usize,
}

/// Returns the places of the exceptions that stand for the group, in the order in which they are hashed. Nothing when
/// there is no group, or mechanisms contradict one another: then all exceptions count.
pub(super) fn kept(event: &Event<'_>, components: &[Components<'_>]) -> Option<Vec<usize>> {
    let (distinct, tree) = distinct_errors(event, components)?;
    match distinct.as_slice() {
        [only] => tree.first_path(*only),
        _ => Some(distinct.iter().copied().chain([tree.root()]).collect()),
    }
}

/// Returns the exception the event is to be named after, if a group decides it.
pub(super) fn main_exception(event: &Event<'_>, components: &[Components<'_>]) -> Option<usize> {
    match distinct_errors(event, components)?.0.as_slice() {
        [only] => Some(*only),
        _ => None,
    }
}

fn distinct_errors<'e, 'a>(event: &'e Event<'a>, components: &[Components<'_>]) -> Option<(Vec<usize>, Tree<'e, 'a>)> {
    let exceptions = event.exceptions.as_deref().filter(|exceptions| exceptions.len() > 1)?;
    if filters_itself(event) {
        return None;
    }
    let tree = Tree::of(exceptions)?;
    let mut errors = Vec::new();
    tree.top_level(tree.root(), &mut Walk::default(), &mut errors)?;
    let kind = |place: &usize| tree.exceptions[*place].kind.as_deref().unwrap_or("None");
    errors.sort_by(|left, right| kind(right).cmp(kind(left)));
    errors.dedup_by(|later, earlier| components[*later] == components[*earlier]);
    (!errors.is_empty()).then_some((errors, tree))
}

/// The Python SDK from version 3 on sends groups without repetitions.
fn filters_itself(event: &Event<'_>) -> bool {
    let version = event.sdk.as_ref().and_then(|sdk| sdk.version.as_deref());
    event.platform.as_deref() == Some("python") && version.is_some_and(|version| version.starts_with('3'))
}

fn mechanism<'e, 'a>(exception: &'e Exception<'a>) -> Option<&'e Mechanism<'a>> {
    exception.mechanism.as_ref()
}

impl<'e, 'a> Tree<'e, 'a> {
    fn of(exceptions: &'e [Exception<'a>]) -> Option<Self> {
        let mut tree = Tree { exceptions, by_id: HashMap::new(), children: HashMap::new() };
        for (place, exception) in exceptions.iter().enumerate().rev() {
            let mechanism = mechanism(exception)?;
            let id = mechanism.exception_id?;
            if mechanism.parent_id == Some(id) || tree.by_id.insert(id, place).is_some() {
                return None;
            }
            if let Some(parent) = mechanism.parent_id {
                tree.children.entry(parent).or_default().push(place);
            }
        }
        tree.by_id.contains_key(&0).then_some(tree)
    }

    fn root(&self) -> usize {
        self.by_id[&0]
    }

    fn children(&self, place: usize) -> &[usize] {
        let id = mechanism(&self.exceptions[place]).and_then(|mechanism| mechanism.exception_id);
        id.and_then(|id| self.children.get(&id)).map(Vec::as_slice).unwrap_or_default()
    }

    /// Collects the first exceptions on each path that are not groups themselves.
    fn top_level(&self, place: usize, walk: &mut Walk, found: &mut Vec<usize>) -> Option<()> {
        walk.visits += 1;
        // More visits than exceptions: the parents go round in a circle.
        if walk.depth > DEPTH_MAX || walk.visits > self.exceptions.len() {
            return None;
        }
        let is_group = mechanism(&self.exceptions[place]).and_then(|mechanism| mechanism.is_exception_group);
        if is_group != Some(true) {
            found.push(place);
            return Some(());
        }
        walk.depth += 1;
        self.children(place).iter().try_for_each(|child| self.top_level(*child, walk, found))?;
        walk.depth -= 1;
        Some(())
    }

    /// The error, and the chain of its first causes.
    fn first_path(&self, place: usize) -> Option<Vec<usize>> {
        let mut path = vec![place];
        while let Some(child) = path.last().and_then(|last| self.children(*last).first()) {
            if path.len() > DEPTH_MAX {
                return None;
            }
            path.push(*child);
        }
        Some(path)
    }
}
