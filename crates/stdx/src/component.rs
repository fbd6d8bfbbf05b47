//! The life cycle of long-running parts: each has a name, is told to stop once, and has a deadline to obey.
//! A part that panics or ends early is reported and stops the others: nothing dies in silence.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Tells every component of a process that it is time to stop.
#[derive(Clone, Debug)]
pub struct Shutdown(watch::Sender<bool>);

impl Default for Shutdown {
    fn default() -> Self {
        Shutdown(watch::Sender::new(false))
    }
}

impl Shutdown {
    pub fn trigger(&self) {
        self.0.send_replace(true);
    }

    pub fn is_triggered(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until `trigger` is called; at once if it was.
    pub async fn triggered(&self) {
        let mut receiver = self.0.subscribe();
        // The sender lives in `self`, so waiting can only end by the value.
        let _ = receiver.wait_for(|stop| *stop).await;
    }
}

/// A named loop that runs until `Shutdown` is triggered.
pub struct Component {
    pub name: &'static str,
    pub run: Pin<Box<dyn Future<Output = Result<(), ComponentError>> + Send>>,
}

pub type ComponentError = Box<dyn std::error::Error + Send + Sync>;

impl Component {
    pub fn new(name: &'static str, run: impl Future<Output = Result<(), ComponentError>> + Send + 'static) -> Self {
        Component { name, run: Box::pin(run) }
    }
}

/// How a set of components ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// All stopped after the shutdown was triggered.
    Stopped,
    /// This component failed, panicked or returned before it was asked to.
    Failed { name: &'static str, reason: String },
    /// The shutdown's deadline passed with components still running.
    DeadlinePassed,
}

/// Runs components side by side until the shutdown, or until one ends early.
#[derive(Default)]
pub struct Components(Vec<Component>);

impl Components {
    pub fn push(&mut self, component: Component) {
        self.0.push(component);
    }

    /// Runs all components. After the shutdown each has `grace` to finish.
    pub async fn run(self, shutdown: Shutdown, grace: Duration) -> Ended {
        let mut running = JoinSet::new();
        for component in self.0 {
            let name = component.name;
            // A task of its own, so that a panic is caught and named.
            let task = tokio::spawn(component.run);
            running.spawn(async move { (name, task.await) });
        }
        let mut failure = None;
        let deadline = async {
            shutdown.triggered().await;
            tokio::time::sleep(grace).await;
        };
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                () = &mut deadline => return failure.unwrap_or(Ended::DeadlinePassed),
                ended = running.join_next() => match ended {
                    None => return failure.unwrap_or(Ended::Stopped),
                    Some(Ok((name, outcome))) => {
                        if let Some(reason) = early_end(outcome, &shutdown) {
                            tracing::error!(component = name, reason, "component ended early");
                            failure.get_or_insert(Ended::Failed { name, reason });
                            shutdown.trigger();
                        }
                    }
                    Some(Err(_)) => {}
                },
            }
        }
    }
}

fn early_end(
    outcome: Result<Result<(), ComponentError>, tokio::task::JoinError>,
    shutdown: &Shutdown,
) -> Option<String> {
    match outcome {
        Ok(Ok(())) if shutdown.is_triggered() => None,
        Ok(Ok(())) => Some("returned before the shutdown".to_owned()),
        Ok(Err(error)) => Some(error.to_string()),
        Err(panic) => Some(panic.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_in_one_component_stops_the_others_and_is_named() {
        let shutdown = Shutdown::default();
        let mut components = Components::default();
        let stop = shutdown.clone();
        components.push(Component::new("patient", async move {
            stop.triggered().await;
            Ok(())
        }));
        components.push(Component::new("nervous", async { panic!("boom") }));
        let ended = components.run(shutdown, Duration::from_secs(5)).await;
        assert!(matches!(ended, Ended::Failed { name: "nervous", .. }), "{ended:?}");
    }

    #[tokio::test]
    async fn a_component_that_does_not_stop_is_left_behind_at_the_deadline() {
        let shutdown = Shutdown::default();
        let mut components = Components::default();
        components.push(Component::new("deaf", std::future::pending()));
        shutdown.trigger();
        assert_eq!(components.run(shutdown, Duration::ZERO).await, Ended::DeadlinePassed);
    }
}
