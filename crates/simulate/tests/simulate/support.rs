//! Draws whole data sets in memory.

use tiers_simulate::{Block, CHUNK_ROWS, Column, Place, Simulation, Spec, Values};

/// Parses a specification.
pub(crate) fn spec(text: &str) -> Spec {
    toml::from_str(text).unwrap()
}

/// Returns the example after replacing some text, which must occur in it.
pub(crate) fn example(changes: &[(&str, &str)]) -> Spec {
    let mut text = tiers_simulate::EXAMPLE.to_owned();
    for (from, to) in changes {
        assert!(text.contains(from), "{from:?} is not in the example");
        text = text.replace(from, to);
    }
    spec(&text)
}

/// All columns of a simulation, drawn.
pub(crate) struct Drawn {
    pub simulation: Simulation,
    pub columns: Vec<Column>,
    pub end: Place,
}

/// Draws all rows, chunk by chunk.
pub(crate) fn draw(spec: &Spec) -> Drawn {
    let simulation = Simulation::new(spec).unwrap();
    let mut columns: Vec<Column> = Vec::new();
    let mut place = Place::start(&simulation);
    for number in 0.. {
        if place.is_end(&simulation) {
            break;
        }
        let block = Block::draw(&simulation, number);
        let (rows, after) = place.after(&simulation, &block);
        for chunk in 0..rows.div_ceil(CHUNK_ROWS) {
            append(&mut columns, block.chunk(&simulation, &place, chunk, rows));
        }
        place = after;
    }
    Drawn { simulation, columns, end: place }
}

pub(crate) fn append(columns: &mut Vec<Column>, more: Vec<Column>) {
    if columns.is_empty() {
        *columns = more;
        return;
    }
    for (column, more) in columns.iter_mut().zip(more) {
        match (&mut column.values, more.values) {
            (Values::Real(v), Values::Real(more)) => v.extend(more),
            (Values::Whole(v), Values::Whole(more)) => v.extend(more),
            (Values::Code(v), Values::Code(more)) => v.extend(more),
            _ => panic!("columns change their kind"),
        }
        if let (Some(missing), Some(more)) = (&mut column.missing, more.missing) {
            missing.extend(more);
        }
    }
}

impl Drawn {
    pub(crate) fn column(&self, name: &str) -> &Column {
        let at = self.simulation.fields().iter().position(|field| field.name == name).unwrap();
        &self.columns[at]
    }

    /// Returns a column as numbers.
    pub(crate) fn numbers(&self, name: &str) -> Vec<f64> {
        match &self.column(name).values {
            Values::Real(v) => v.clone(),
            Values::Whole(v) => v.iter().map(|&v| v as f64).collect(),
            Values::Code(v) => v.iter().map(|&v| f64::from(v)).collect(),
        }
    }

    pub(crate) fn rows(&self) -> usize {
        self.columns[0].len()
    }
}

pub(crate) fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

pub(crate) fn sd(values: &[f64]) -> f64 {
    let centre = mean(values);
    (values.iter().map(|v| (v - centre).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

/// Returns the means over the runs of equal keys.
pub(crate) fn run_means(values: &[f64], keys: &[f64]) -> Vec<f64> {
    let starts: Vec<usize> =
        (0..keys.len()).filter(|&i| i == 0 || keys[i] != keys[i - 1]).chain([keys.len()]).collect();
    starts.windows(2).map(|ends| mean(&values[ends[0]..ends[1]])).collect()
}
