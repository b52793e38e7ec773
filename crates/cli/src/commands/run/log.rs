//! Log lines on standard error, for unattended runs.

use crate::args::{LogFormat, LogLevel};
use serde_json::{Map, Value};
use std::fmt;
use tiers_report::visible;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging.
pub(crate) fn start(format: LogFormat, level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
    };
    let only_ours = Targets::new().with_target("tiers", level);
    // A second call in one process has no effect.
    tracing_subscriber::registry().with(Lines { format }.with_filter(only_ours)).try_init().ok();
}

/// Returns the current UTC time, as `2026-01-01T00:00:00.000000Z`.
pub(crate) fn now() -> String {
    let mut time = String::new();
    SystemTime.format_time(&mut Writer::new(&mut time)).ok();
    time
}

/// Writes a line per event.
struct Lines {
    format: LogFormat,
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let time = now();
        let mut fields = Fields::default();
        event.record(&mut fields);
        let level = event.metadata().level();
        crate::exit::eprint(&match self.format {
            LogFormat::Text => {
                let pairs = fields.others.iter().map(|(name, value)| format!(" {name}={value}"));
                let line = format!("{time} {level:>5} {}{}", fields.message, pairs.collect::<String>());
                visible::line(&line).into_owned()
            }
            LogFormat::Json => {
                let mut line = Map::new();
                line.insert("time".to_owned(), time.into());
                line.insert("level".to_owned(), level.to_string().to_lowercase().into());
                line.insert("message".to_owned(), fields.message.into());
                line.extend(fields.others);
                visible::json(&Value::Object(line).to_string()).into_owned()
            }
        });
    }
}

/// The fields of an event.
#[derive(Default)]
struct Fields {
    message: String,
    others: Map<String, Value>,
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }
    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }
    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }
    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

impl Fields {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => _ = self.others.insert(name.to_owned(), value),
        }
    }
}
