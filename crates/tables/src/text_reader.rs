//! Reads text files on several threads: one thread at a time cuts the next chunk, in file order, and
//! then parses it while others cut; chunks are delivered in order.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use polars::prelude::{
    BooleanChunked, Column, DataFrame, DataType, Float64Chunked, Int64Chunked, IntoSeries, NewChunkedArray, PlSmallStr,
    Series, StringChunked, TimeUnit,
};
use tiers_csv::{Chunk, TextFile, Values, Wanted, WantedColumn};

use crate::error::{TableError, panic_words, words};
use crate::plan::Plan;
use crate::query::{PATH_COLUMN, polars_path};
use crate::source::Inner;
use crate::text::{TextTable, text_error};
use crate::threads::threads;

/// Largest number of chunks, per thread, being parsed or waiting to be taken.
pub(crate) const AHEAD: usize = 2;

/// A column of the data frames that are delivered.
#[derive(Debug)]
pub(crate) struct TextRequest {
    /// Position of the column in the table.
    pub(crate) column: usize,
    /// Its name in the data frames.
    pub(crate) frame_name: String,
    pub(crate) wanted: tiers_csv::Wanted,
    pub(crate) stated: bool,
}

/// The rows of a chunk, or the error in it.
type Outcome = Result<DataFrame, TableError>;

/// A running read.
#[derive(Debug)]
pub(crate) struct TextReader {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Debug)]
struct Shared {
    source: Arc<Inner>,
    plan: Arc<Plan>,
    /// Per file: the columns to parse, sorted by position in the file, and the request that each serves.
    files: Vec<(Vec<WantedColumn>, Vec<usize>)>,
    /// Largest number of chunks being parsed or waiting to be taken.
    ahead: usize,
    cutting: Mutex<Cutting>,
    state: Mutex<State>,
    changed: Condvar,
}

/// Progress of the cutting.
#[derive(Debug, Default)]
struct Cutting {
    file: usize,
    open: Option<TextFile>,
    /// Number of the next chunk.
    next: usize,
    ended: bool,
}

#[derive(Debug, Default)]
struct State {
    /// Number of chunks that threads have claimed for cutting.
    claimed: usize,
    /// The next chunk to be taken.
    taken: usize,
    /// Chunks parsed and not yet taken.
    ready: BTreeMap<usize, Outcome>,
    /// Total number of chunks, once known.
    total: Option<usize>,
    /// Set when no more chunks are needed.
    stopped: bool,
}

impl TextReader {
    /// Starts to read.
    pub(crate) fn start(source: &Arc<Inner>, plan: Arc<Plan>) -> io::Result<TextReader> {
        let table = source.text.as_ref().expect("only text files come here");
        let files = (0..table.headers.len()).map(|file| wanted(table, file, &plan.text)).collect();
        let workers = threads();
        let shared = Arc::new(Shared {
            source: Arc::clone(source),
            plan,
            files,
            ahead: AHEAD * workers,
            cutting: Mutex::default(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let mut reader = TextReader { shared, threads: Vec::with_capacity(workers) };
        for i in 0..workers {
            let shared = Arc::clone(&reader.shared);
            let thread = thread::Builder::new().name(format!("tiers-read-{i}"));
            // If this fails, dropping the reader stops those that have started.
            reader.threads.push(thread.spawn(move || shared.work())?);
        }
        Ok(reader)
    }

    /// Waits for the next chunk in order; returns `None` after the last.
    pub(crate) fn next(&self) -> Option<Outcome> {
        let mut state = lock(&self.shared.state);
        loop {
            if state.total == Some(state.taken) {
                return None;
            }
            let wanted = state.taken;
            if let Some(outcome) = state.ready.remove(&wanted) {
                state.taken += 1;
                self.shared.changed.notify_all();
                return Some(outcome);
            }
            state = wait(&self.shared.changed, state);
        }
    }
}

impl Drop for TextReader {
    fn drop(&mut self) {
        lock(&self.shared.state).stopped = true;
        self.shared.changed.notify_all();
        for thread in self.threads.drain(..) {
            thread.join().ok();
        }
    }
}

/// Returns the columns to parse from a file, sorted by position, and the request that each serves.
fn wanted(table: &TextTable, file: usize, requests: &[TextRequest]) -> (Vec<WantedColumn>, Vec<usize>) {
    let place = |request: &TextRequest| {
        let name = &table.columns[request.column].name;
        table.headers[file].names.iter().position(|own| own == name).expect("the plan has checked it")
    };
    let column =
        |request: &TextRequest| WantedColumn { index: place(request), form: request.wanted, stated: request.stated };
    let mut all: Vec<(WantedColumn, usize)> = requests.iter().map(column).zip(0..).collect();
    all.sort_by_key(|(column, _)| column.index);
    all.into_iter().unzip()
}

impl Shared {
    /// The loop of each thread: cuts the next chunk, parses it, and makes it available.
    fn work(&self) {
        while self.claim() {
            let (number, outcome) = match self.cut() {
                None => return,
                Some((number, Err(error))) => (number, Err(error)),
                Some((number, Ok((chunk, file)))) => (number, self.guarded(&chunk, file)),
            };
            lock(&self.state).ready.insert(number, outcome);
            self.changed.notify_all();
        }
    }

    /// Waits until another chunk may be cut; returns false if no more are needed.
    fn claim(&self) -> bool {
        let mut state = lock(&self.state);
        loop {
            if state.stopped || state.total.is_some() {
                return false;
            }
            if state.claimed < state.taken + self.ahead {
                state.claimed += 1;
                return true;
            }
            state = wait(&self.changed, state);
        }
    }

    /// Returns the next chunk with its number and file, or `None` after the last. An error ends the cutting.
    #[allow(clippy::type_complexity)]
    fn cut(&self) -> Option<(usize, Result<(Chunk, usize), TableError>)> {
        let mut cutting = lock(&self.cutting);
        if cutting.ended {
            return None;
        }
        let outcome = self.next_chunk(&mut cutting).transpose();
        match &outcome {
            Some(Ok(_)) => cutting.next += 1,
            Some(Err(_)) => {
                cutting.ended = true;
                cutting.next += 1;
                self.end(cutting.next);
            }
            None => {
                cutting.ended = true;
                self.end(cutting.next);
            }
        }
        outcome.map(|outcome| (cutting.next - 1, outcome))
    }

    fn end(&self, total: usize) {
        lock(&self.state).total = Some(total);
        self.changed.notify_all();
    }

    fn next_chunk(&self, cutting: &mut Cutting) -> Result<Option<(Chunk, usize)>, TableError> {
        while let Some(file) = self.source.files.get(cutting.file) {
            let of_file = |error| file.check_unchanged().err().unwrap_or_else(|| text_error(&file.path, error));
            let open = match &mut cutting.open {
                Some(open) => open,
                None => cutting.open.insert(self.open(cutting.file)?),
            };
            match open.next_chunk().map_err(of_file)? {
                Some(chunk) => return Ok(Some((chunk, cutting.file))),
                None => (cutting.file, cutting.open) = (cutting.file + 1, None),
            }
        }
        Ok(None)
    }

    fn open(&self, number: usize) -> Result<TextFile, TableError> {
        let (file, table) = (&self.source.files[number], self.table());
        file.check_unchanged()?;
        let open = TextFile::open(&file.path, &table.options).map_err(|error| text_error(&file.path, error))?;
        let header = &table.headers[number];
        if (open.names(), open.separator()) != (&header.names[..], header.separator) {
            return Err(TableError::Changed { path: file.path.clone(), why: "was written to" });
        }
        Ok(open)
    }

    fn table(&self) -> &TextTable {
        self.source.text.as_ref().expect("only text files come here")
    }

    /// Parses a chunk and converts a panic to an error, so that the consumer does not wait forever.
    fn guarded(&self, chunk: &Chunk, file: usize) -> Outcome {
        let parsed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| self.parse(chunk, file)));
        parsed.unwrap_or_else(|panic| {
            let path = self.source.files[file].path.clone();
            Err(TableError::Damaged { path, reason: panic_words(panic.as_ref()) })
        })
    }

    fn parse(&self, chunk: &Chunk, number: usize) -> Outcome {
        let (file, table) = (&self.source.files[number], self.table());
        let (header, (wanted, order)) = (&table.headers[number], &self.files[number]);
        let values = chunk
            .parse(&header.names, header.separator, wanted, &table.rules)
            .map_err(|error| file.check_unchanged().err().unwrap_or_else(|| text_error(&file.path, error)))?;
        let failed = |error| TableError::Reader { path: file.path.clone(), files: 1, reason: words(&error) };
        let mut columns: Vec<Column> = Vec::with_capacity(values.len() + 1);
        for (values, &request) in values.into_iter().zip(order) {
            let request = &self.plan.text[request];
            let column = series(&request.frame_name, values);
            // Dates and times are parsed as counts; convert them to the types that other formats have.
            columns.push(Column::from(match request.wanted {
                Wanted::Days => {
                    column.cast(&DataType::Int32).and_then(|days| days.cast(&DataType::Date)).map_err(failed)?
                }
                Wanted::Microseconds => {
                    column.cast(&DataType::Datetime(TimeUnit::Microseconds, None)).map_err(failed)?
                }
                _ => column,
            }));
        }
        if self.plan.with_path {
            let path = polars_path(&file.path).map_err(failed)?;
            let column = StringChunked::from_iter_values(
                PlSmallStr::from_static(PATH_COLUMN),
                std::iter::repeat_n(path.as_str(), chunk.rows()),
            );
            columns.push(Column::from(column.into_series()));
        }
        DataFrame::new(chunk.rows(), columns).map_err(failed)
    }
}

fn series(name: &str, values: Values) -> Series {
    let name = PlSmallStr::from_str(name);
    match values {
        Values::Numbers(values) => Float64Chunked::from_vec(name, values).into_series(),
        Values::Integers(values) => Int64Chunked::from_iter_options(name, values.into_iter()).into_series(),
        Values::Booleans(values) => BooleanChunked::from_iter_options(name, values.into_iter()).into_series(),
        Values::Text(values) => StringChunked::from_iter_options(name, values.iter()).into_series(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn wait<'a, T>(changed: &Condvar, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
    changed.wait(guard).unwrap_or_else(PoisonError::into_inner)
}
