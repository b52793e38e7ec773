//! Parses a job file with the changes of `--set`, and finds the lines of keys for later errors.

use super::file::JobFile;
use anyhow::{anyhow, bail};
use serde::Deserialize;
use std::fmt::Display;
use tiers_design::nearest;
use tiers_outputs::{WRITTEN_BY_HAND, read_text};
use toml::de::{DeTable, DeValue};
use toml::{Spanned, Table, Value};

/// A job file that has been read.
#[derive(Debug)]
pub(crate) struct Document {
    /// Name of the file in messages.
    name: String,
    text: String,
    /// Arguments of `--set`.
    sets: Vec<String>,
    /// The keys, including the changes of `--set`.
    pub file: JobFile,
}

impl Document {
    /// Parses the text; `sets` are changes such as `models.growth.method=ML`.
    pub(crate) fn parse(name: &str, text: &str, sets: &[String]) -> anyhow::Result<Document> {
        let spanned = DeTable::parse(text).map_err(|error| located(name, text, None, &error))?;
        let plain: Result<JobFile, _> = toml::from_str(text);
        let file = match (plain, sets) {
            (Ok(file), []) => file,
            (Err(error), []) => return Err(located(name, text, Some(spanned.get_ref()), &error)),
            (plain, sets) => {
                let table: Table = toml::from_str(text).map_err(|error| located(name, text, None, &error))?;
                match (with_sets(table, sets, plain.is_ok()), plain) {
                    (Ok(file), _) => file,
                    // --set may supply what the file lacks; if it does not, the error is that of the file.
                    (Err(_), Err(error)) => return Err(located(name, text, Some(spanned.get_ref()), &error)),
                    (Err(error), Ok(_)) => return Err(error),
                }
            }
        };
        Ok(Document { name: name.to_owned(), text: text.to_owned(), sets: sets.to_vec(), file })
    }

    /// Returns an error about the value of a key, such as `models[1].formula`, with its line.
    pub(crate) fn error(&self, key: &str, why: impl Display) -> anyhow::Error {
        if let Some(set) = self.sets.iter().find(|set| self.is_of(set, key)) {
            return anyhow!("--set {}: {why}", shown(set));
        }
        let table = DeTable::parse(&self.text).ok();
        let line = table.and_then(|table| find(table.get_ref(), key)).map(|at| place(&self.text, at).0);
        let line = line.map_or_else(String::new, |line| format!(", line {line}"));
        anyhow!("{}{line}: {key}: {why}", self.name)
    }

    /// Whether a `--set` changes this key.
    fn is_of(&self, set: &str, key: &str) -> bool {
        let Some(segments) = set.split_once('=').and_then(|(key, _)| segments(key).ok()) else { return false };
        let models = &self.file.models;
        match &segments[..] {
            [models_key, model, rest @ ..] if models_key == "models" => models.iter().enumerate().any(|(i, own)| {
                (model == "*" || *model == own.name) && key == format!("models[{i}].{}", rest.join("."))
            }),
            segments => key == segments.join("."),
        }
    }
}

/// Returns the beginning of a change, for messages.
fn shown(set: &str) -> String {
    const LONG: usize = 200;
    match set.char_indices().nth(LONG) {
        None => set.to_owned(),
        Some((end, _)) => format!("{}…", &set[..end]),
    }
}

/// Returns the keys after all changes.
fn with_sets(mut table: Table, sets: &[String], was_valid: bool) -> anyhow::Result<JobFile> {
    let mut file = None;
    for set in sets {
        let (key, text) = set
            .split_once('=')
            .filter(|(key, _)| !key.trim().is_empty())
            .ok_or_else(|| anyhow!("--set {}: write key=value, as in --set models.growth.method=ML", shown(set)))?;
        let segments = segments(key).map_err(|why| anyhow!("--set {}: {why}", shown(set)))?;
        // Text that is not a TOML value is a string without quotes, and so is a number where a string is
        // expected.
        let values = [value(text), Some(Value::String(text.to_owned()))];
        let mut failure = None;
        for value in values.into_iter().flatten() {
            let mut changed = table.clone();
            put(&mut changed, &segments, &value).map_err(|why| anyhow!("--set {}: {why}", shown(set)))?;
            match JobFile::deserialize(Value::Table(changed.clone())) {
                Ok(ok) => (file, failure) = (Some(ok), None),
                Err(error) if was_valid => {
                    failure.get_or_insert_with(|| anyhow!("--set {}: {}", shown(set), explained(error.message())));
                    continue;
                }
                Err(error) => failure = Some(anyhow!("{}", explained(error.message()))),
            }
            table = changed;
            break;
        }
        if let Some(failure) = failure.filter(|_| was_valid || set == &sets[sets.len() - 1]) {
            return Err(failure);
        }
    }
    file.ok_or_else(|| anyhow!("the job file is not complete"))
}

fn value(text: &str) -> Option<Value> {
    let table: Table = toml::from_str(&format!("x = {text}")).ok()?;
    (table.len() == 1).then(|| table["x"].clone())
}

/// Largest number of parts of a key; the number is limited since tables are entered recursively.
const MOST_PARTS: usize = 8;

/// Splits a key such as `data.reference."a.b"` into its parts.
fn segments(key: &str) -> Result<Vec<String>, String> {
    let (mut all, mut part, mut quoted) = (Vec::new(), String::new(), false);
    for c in key.trim().chars() {
        match c {
            '"' => quoted = !quoted,
            '.' if !quoted => all.push(std::mem::take(&mut part)),
            c => part.push(c),
        }
    }
    all.push(part);
    if quoted || all.iter().any(|part| part.trim().is_empty()) {
        return Err(format!("`{key}` is not a key; its parts are joined by dots, as in models.growth.method"));
    }
    if all.len() > MOST_PARTS {
        let begin: String = key.chars().take(40).collect();
        return Err(format!("`{begin}…` has {} parts, and no key has more than {MOST_PARTS}", all.len()));
    }
    Ok(all.into_iter().map(|part| part.trim().to_owned()).collect())
}

/// Sets a value; `models` are addressed by name, and `*` means all of them.
fn put(table: &mut Table, segments: &[String], value: &Value) -> Result<(), String> {
    match segments {
        [] => Ok(()),
        [last] => {
            table.insert(last.clone(), value.clone());
            Ok(())
        }
        [first, rest @ ..] => {
            let inner = table.entry(first.clone()).or_insert_with(|| Value::Table(Table::new()));
            match inner {
                Value::Table(inner) => put(inner, rest, value),
                Value::Array(models) => put_in_models(models, rest, value),
                _ => Err(format!("`{first}` is a value, not a table of keys")),
            }
        }
    }
}

fn put_in_models(models: &mut [Value], segments: &[String], value: &Value) -> Result<(), String> {
    let [wanted, rest @ ..] = segments else { return Ok(()) };
    let name = |model: &Value| model.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let names: Vec<String> = models.iter().map(name).collect();
    let mut found = false;
    for (model, name) in models.iter_mut().zip(&names) {
        if wanted == "*" || wanted == name {
            let Value::Table(model) = model else { return Err(format!("`{wanted}` is not a table of keys")) };
            if rest.is_empty() {
                return Err(format!("name a key of the model, as in models.{wanted}.method"));
            }
            put(model, rest, value)?;
            found = true;
        }
    }
    match (found, nearest(wanted, &names)) {
        (true, _) => Ok(()),
        (false, Some(name)) => Err(format!("there is no model `{wanted}`; did you mean `{name}`?")),
        (false, None) => Err(format!("there is no model `{wanted}`; the models are {}", names.join(", "))),
    }
}

/// Converts an error of the parser, with file, line, key and the nearest valid key.
fn located(name: &str, text: &str, table: Option<&DeTable<'_>>, error: &toml::de::Error) -> anyhow::Error {
    let at = error.span().map(|span| span.start);
    let key = at.zip(table).and_then(|(at, table)| key_at(table, at)).map_or_else(String::new, |key| key + ": ");
    let place = at.map_or_else(String::new, |at| {
        let (line, column) = place(text, at);
        format!(", line {line}, column {column}")
    });
    anyhow!("{name}{place}: {key}{}; see docs/batch.md, or `tiers run --schema`", explained(error.message()))
}

/// Rewrites serde's message, with the key or value that was probably meant.
fn explained(message: &str) -> String {
    let message = message.trim().replace('\n', ", ");
    let kind = match &message {
        m if m.starts_with("unknown field") => "key",
        m if m.starts_with("unknown variant") => "value",
        _ => return message,
    };
    let mut words = message.split('`').skip(1).step_by(2).map(str::to_owned);
    let Some(wanted) = words.next() else { return message };
    let valid: Vec<String> = words.collect();
    let meant = nearest(&wanted, &valid).map_or_else(String::new, |near| format!(" Did you mean `{near}`?"));
    format!("unknown {kind} `{wanted}`.{meant} Valid {kind}s are {}", valid.join(", "))
}

/// Returns the line and column of a byte, counted from 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// Returns the key, as in `models[0].formula`, whose name or value is at this byte.
fn key_at(table: &DeTable<'_>, at: usize) -> Option<String> {
    table.iter().find_map(|(key, value)| {
        let below = key_in(value, at).map(|below| match below.as_str() {
            "" => key.get_ref().to_string(),
            rest if rest.starts_with('[') => format!("{}{rest}", key.get_ref()),
            rest => format!("{}.{rest}", key.get_ref()),
        });
        below.or_else(|| key.span().contains(&at).then(|| key.get_ref().to_string()))
    })
}

fn key_in(value: &Spanned<DeValue<'_>>, at: usize) -> Option<String> {
    let below = match value.get_ref() {
        DeValue::Table(table) => key_at(table, at),
        DeValue::Array(items) => items.iter().enumerate().find_map(|(i, item)| {
            let below = key_in(item, at)?;
            Some(if below.is_empty() { format!("[{i}]") } else { format!("[{i}].{below}") })
        }),
        _ => None,
    };
    below.or_else(|| value.span().contains(&at).then(String::new))
}

/// Returns the position of the value of a key, or of the innermost part of the key that exists.
fn find(table: &DeTable<'_>, key: &str) -> Option<usize> {
    let mut at = None;
    let mut table = Some(table);
    for part in key.split('.') {
        let (name, index) = match part.split_once('[') {
            Some((name, rest)) => (name, rest.trim_end_matches(']').parse::<usize>().ok()),
            None => (part, None),
        };
        let Some((_, value)) = table.and_then(|table| table.iter().find(|(key, _)| key.get_ref() == name)) else {
            break;
        };
        let item = index.and_then(|index| value.get_ref().get(index)).unwrap_or(value);
        at = Some(item.span().start);
        table = item.get_ref().as_table();
    }
    at
}

/// Reads a job file.
pub(crate) fn read(path: &std::path::Path, sets: &[String]) -> anyhow::Result<Document> {
    match read_text(path, WRITTEN_BY_HAND) {
        Ok(text) => Document::parse(&path.display().to_string(), &text, sets),
        Err(error) => bail!(
            "{}: the job file cannot be read: {error}; name a text file in TOML, as docs/batch.md shows one",
            path.display()
        ),
    }
}
