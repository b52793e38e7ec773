//! The moments of a table, of which a fit needs nothing else: they can be saved, merged and fitted.

use crate::error::Error;
use crate::files::format;
use crate::table::Table;
use crate::values::Values;
use std::ops::Add;
use std::path::Path;
use tiers_design::Source;
use tiers_moments::{Definition, Ingested, MOMENTS, MomentsFolder, Part, Totals, cell_tables, merge, write_moments};
use tiers_outputs::{Folder, OutColumn, OutField, OutKind, OutValues};

/// The moments (sufficient statistics) of a model's columns over the rows of a table, or of several parts
/// of one: a fit needs nothing else of the data.
///
/// They take memory by groups, not by rows. Parts of a data set can be summed on different machines, or
/// where their rows must stay private, and merged; a group may have rows in several parts. The estimates
/// are those of one read of all rows.
///
/// ```
/// # let table = tiers::doc::schools();
/// # let (north, south) = (tiers::doc::schools_of(0..30), tiers::doc::schools_of(30..48));
/// use tiers::{Moments, lmm};
///
/// let model = lmm("score ~ pretest + (1 | school)");
/// let (north, south) = (model.moments(&north)?, model.moments(&south)?);
/// let fit = model.fit_moments(Moments::merge([&north, &south])?)?;
/// let of_all_rows = model.fit(&table)?;
/// assert!((fit.sigma() - of_all_rows.sigma()).abs() < 1e-9);
/// # Ok::<(), tiers::Error>(())
/// ```
#[derive(Debug)]
pub struct Moments {
    pub(crate) ingested: Ingested,
    pub(crate) definition: Definition,
}

impl Moments {
    /// Number of rows that were summed.
    pub fn rows(&self) -> u64 {
        self.ingested.moments.rows
    }

    /// Number of rows that were left out since a value was missing.
    pub fn dropped_rows(&self) -> u64 {
        self.ingested.dropped.rows
    }

    /// The formula of the model.
    pub fn formula(&self) -> &str {
        &self.definition.formula
    }

    /// Adds up the moments of parts of a data set; every row must be in one part only.
    ///
    /// # Errors
    /// If there is no part, the parts are not of one model, or a level of a factor that a part lacks cannot
    /// be added to it.
    pub fn merge<'a>(parts: impl IntoIterator<Item = &'a Moments>) -> Result<Moments, Error> {
        let parts: Vec<&Moments> = parts.into_iter().collect();
        let names: Vec<String> = (1..=parts.len()).map(|number| format!("part {number}")).collect();
        let cells = parts.iter().map(|part| part.cells()).collect::<Result<Vec<_>, _>>()?;
        let totals: Vec<Totals> = parts.iter().map(|part| Totals::of(&part.ingested.moments)).collect();
        let part = |i: usize| Part {
            name: &names[i],
            definition: &parts[i].definition,
            totals: &totals[i],
            dropped: &parts[i].ingested.dropped,
            cells: (parts[i].rows() > 0).then_some(&cells[i] as &dyn Source),
        };
        of_parts(&(0..parts.len()).map(part).collect::<Vec<_>>())
    }

    /// Reads folders of moments, which [`Moments::save`], the program `tiers moments` or another program
    /// wrote, and adds them up.
    ///
    /// # Errors
    /// If a folder does not hold moments or was changed, and as [`Moments::merge`].
    pub fn load<P: AsRef<Path>>(folders: impl IntoIterator<Item = P>) -> Result<Moments, Error> {
        let open =
            |folder: P| MomentsFolder::open(folder.as_ref(), format()).map_err(|error| Error::Files(error.to_string()));
        let parts = folders.into_iter().map(open).collect::<Result<Vec<_>, _>>()?;
        of_parts(&parts.iter().map(MomentsFolder::part).collect::<Vec<_>>())
    }

    /// Writes a folder of moments, with its tables as csv or, with the feature `files`, as parquet;
    /// [`Moments::load`] and the program `tiers fit --moments` read it.
    ///
    /// The folder appears when all of it is written, and replaces former moments.
    ///
    /// # Errors
    /// If the folder cannot be written, or holds anything but moments.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<(), Error> {
        let folder = Folder::open("", folder.as_ref(), &[], &MOMENTS).and_then(Folder::alone);
        let written =
            folder.and_then(|folder| write_moments(&folder, format(), self.definition.clone(), &self.ingested));
        written.map(drop).map_err(|error| Error::Files(error.to_string()))
    }

    /// The cells as a table, to be merged.
    fn cells(&self) -> Result<Table, Error> {
        Table::from_columns(self.cell_columns())
    }

    /// The columns of the cells, with their names.
    pub(crate) fn cell_columns(&self) -> Vec<(String, Values)> {
        let (fields, shards) = cell_tables(&self.definition, &self.ingested);
        let mut columns: Vec<Values> = fields.iter().map(|field| empty(field.kind)).collect();
        for shard in shards {
            columns.iter_mut().zip(shard).for_each(|(column, part)| append(column, part));
        }
        fields.into_iter().map(|OutField { name, .. }| name).zip(columns).collect()
    }
}

/// Adds up the moments of two parts of a data set, as [`Moments::merge`] does: for programs that reduce the results
/// of many tasks in pairs. The sum is an error if the parts are not of one model.
///
/// ```
/// # let (north, south) = (tiers::doc::schools_of(0..30), tiers::doc::schools_of(30..48));
/// use tiers::{Error, Moments, lmm};
///
/// let model = lmm("score ~ pretest + (1 | school)");
/// // Each task sums the rows of its partition; moments are sent as any format of serde.
/// let tasks = [north, south].map(|rows| serde_json::to_vec(&model.moments(&rows).expect("moments")).expect("json"));
/// // The reducer needs no rows.
/// let mut parts = tasks.iter().map(|bytes| serde_json::from_slice::<Moments>(bytes).expect("moments"));
/// let first = parts.next().expect("a part");
/// let sum = parts.try_fold(first, |sum, part| sum + part)?;
/// assert_eq!(model.fit_moments(sum)?.estimates().n_obs, 48);
/// # Ok::<(), Error>(())
/// ```
impl Add for Moments {
    type Output = Result<Moments, Error>;

    fn add(self, other: Moments) -> Result<Moments, Error> {
        &self + &other
    }
}

/// Adds up the moments of two parts and keeps them.
impl Add for &Moments {
    type Output = Result<Moments, Error>;

    fn add(self, other: &Moments) -> Result<Moments, Error> {
        Moments::merge([self, other])
    }
}

pub(crate) fn of_parts(parts: &[Part<'_>]) -> Result<Moments, Error> {
    if parts.is_empty() {
        return Err(Error::Setting("no moments were given: name at least one part".to_owned()));
    }
    let (ingested, definition) = merge(parts, None, &mut ())?;
    Ok(Moments { ingested, definition })
}

fn empty(kind: OutKind) -> Values {
    match kind {
        OutKind::F64 => Values::Numbers(Vec::new()),
        OutKind::I64 | OutKind::U32 => Values::Integers(Vec::new()),
        OutKind::Text => Values::Texts(Vec::new()),
        OutKind::Bool => Values::Booleans(Vec::new()),
    }
}

fn append(column: &mut Values, part: OutColumn) {
    match (column, part.values) {
        (Values::Numbers(all), OutValues::F64(values)) => all.extend(values),
        (Values::Integers(all), OutValues::I64(values)) => all.extend(values.into_iter().map(Some)),
        (Values::Texts(all), OutValues::Text(texts)) => all.extend(texts.iter().map(|text| Some(text.to_owned()))),
        _ => unreachable!("cells have keys and sums"),
    }
}
