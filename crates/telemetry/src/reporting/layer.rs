//! Listens to the log: what is an ERROR is a report. It sits beside the layer that writes lines, and does nothing until
//! reporting is started.

use super::{CLIENT, capture, record};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

pub struct ReportLayer;

impl<S: Subscriber> Layer<S> for ReportLayer {
    fn on_event(&self, event: &Event<'_>, _context: Context<'_, S>) {
        if *event.metadata().level() == Level::ERROR && CLIENT.get().is_some() {
            let (report, about) = record::event(event);
            capture(report, about);
        }
    }
}
