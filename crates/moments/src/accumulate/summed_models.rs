//! What a pass leaves: the moments of many models, to be taken one by one.

use crate::accumulate::freeze_all::requests;
use crate::accumulate::missing_codes::{Code, Extremes};
use crate::accumulate::pass::{Outcome, Pass, Summing};
use crate::accumulate::{Partitions, Wanted, project};
use crate::bundle::Partitioned;
use crate::error::IngestError;
use crate::reading::Ingested;
use tiers_design::{Plan, Recipe, Request, Role};

/// The moments of many models.
///
/// They are held as they were summed, several models together; taking a model makes moments of its
/// own, and what no model needs any more is let go.
#[derive(Debug)]
pub struct Shared {
    passes: usize,
    bundles: Vec<Option<Bundled>>,
    models: Vec<Place>,
    plans: Vec<Plan>,
    /// What was read, and what its numbers lie between.
    read: Vec<(Request, Extremes)>,
    part: bool,
}

/// A bundle and how many of its models have not been taken.
#[derive(Debug)]
struct Bundled {
    sums: Summing,
    left: usize,
}

/// Where the moments of a model are.
#[derive(Debug)]
enum Place {
    Member { bundle: usize, member: usize },
    Failed(IngestError),
    Deferred,
    Taken,
}

/// The moments of the only model of a pass.
pub(crate) fn alone(mut pass: Pass) -> Result<Ingested, IngestError> {
    if let Some(Outcome::Failed(error)) = pass.outcomes.pop() {
        return Err(error);
    }
    let sums = pass.sums.pop().expect("the model was summed");
    let dropped = sums.dropped(0);
    let member = &sums.bundle.members[0];
    let (recipe, projection) = (member.recipe.clone(), &member.projection);
    let moments = match projection.is_identity(&sums.moments.summands) {
        true => sums.moments,
        false => project(&sums.moments, projection),
    };
    Ok(Ingested { recipe, moments, dropped })
}

impl Shared {
    pub(crate) fn new(pass: Pass, passes: usize, wanted: &[Wanted], part: bool) -> Shared {
        let outcome = |outcome: Outcome| match outcome {
            Outcome::Failed(error) => Place::Failed(error),
            Outcome::Deferred => Place::Deferred,
            // Those that were summed have their place below.
            Outcome::Summed => Place::Taken,
        };
        let mut models: Vec<Place> = pass.outcomes.into_iter().map(outcome).collect();
        let mut bundles = Vec::with_capacity(pass.sums.len());
        for (bundle, sums) in pass.sums.into_iter().enumerate() {
            for (member, about) in sums.bundle.members.iter().enumerate() {
                models[about.model] = Place::Member { bundle, member };
            }
            let left = sums.bundle.members.len();
            bundles.push(Some(Bundled { sums, left }));
        }
        let plans = wanted.iter().map(|wanted| wanted.plan.clone()).collect();
        let read = requests(wanted).into_iter().zip(pass.extremes).collect();
        Shared { passes, bundles, models, plans, read, part }
    }

    /// Passes over the rows that were begun: one, where all went well; more where a factor had a level
    /// that the first rows did not show.
    pub fn passes(&self) -> usize {
        self.passes
    }

    /// How the models were summed: the models of each bundle, in no particular order.
    pub fn bundles(&self) -> Vec<Vec<usize>> {
        let mut bundles: Vec<Vec<usize>> = self.bundles.iter().map(|_| Vec::new()).collect();
        for (model, place) in self.models.iter().enumerate() {
            if let Place::Member { bundle, .. } = place {
                bundles[*bundle].push(model);
            }
        }
        bundles.retain(|models| !models.is_empty());
        bundles
    }

    /// Models (indices into those wanted) that were put off for lack of memory. To be asked for
    /// again, in a call of their own, when what the others took has been let go.
    pub fn deferred(&self) -> Vec<usize> {
        (0..self.models.len()).filter(|&model| matches!(self.models[model], Place::Deferred)).collect()
    }

    /// The moments of a model (an index into those wanted), or why there are none. To be asked once
    /// per model.
    ///
    /// # Errors
    /// Those of [`crate::accumulate_with`] that concern this model alone.
    ///
    /// # Panics
    /// On a model that was deferred, taken before, or wanted by partitions.
    pub fn take(&mut self, model: usize) -> Result<Ingested, IngestError> {
        let (bundle, member) = self.place(model)?;
        let Bundled { sums, left } = self.bundles[bundle].as_ref().expect("models are left in it");
        assert!(sums.by.is_empty(), "model {model} is wanted by partitions");
        let mut dropped = sums.dropped(member);
        let about = &sums.bundle.members[member];
        let recipe = about.recipe.clone();
        dropped.codes = self.codes(&recipe);
        if !self.part {
            recipe.check_levels()?;
        }
        let moments = match *left == 1 && about.projection.is_identity(&sums.moments.summands) {
            true => self.bundles[bundle].take().expect("models are left in it").sums.moments,
            false => project(&sums.moments, &about.projection),
        };
        self.have_taken(bundle);
        Ok(Ingested { recipe, moments, dropped })
    }

    /// Values in the columns of a model that look like codes for missing values.
    fn codes(&self, recipe: &Recipe) -> Vec<Code> {
        let is_own = |(i, request): (usize, &Request)| {
            let is_weights = recipe.weights == Some(i);
            self.read.iter().find(|(read, _)| read == request && request.role == Role::Number && !is_weights)
        };
        let own = recipe.requests.iter().enumerate().filter_map(is_own);
        own.flat_map(|(request, extremes)| extremes.isolated(&request.column)).collect()
    }

    /// The partitions of a model that was wanted by partitions; to be asked once per model.
    ///
    /// # Errors
    /// What keeps the model from being summed in any partition.
    ///
    /// # Panics
    /// On a model that was deferred, taken before, or wanted of all rows.
    pub fn take_partitions(&mut self, model: usize) -> Result<Partitions, IngestError> {
        let (bundle, member) = self.place(model)?;
        let Bundled { sums, .. } = self.bundles[bundle].as_ref().expect("models are left in it");
        assert!(!sums.by.is_empty(), "model {model} is wanted of all rows");
        let expressions = sums.bundle.expressions().map(str::to_owned).collect::<Vec<_>>();
        let own = sums.bundle.members[member].expressions().iter().map(|&e| expressions[e].clone()).collect();
        let parted = Partitioned::new(&sums.bundle, member, &self.plans[model], &sums.moments, &sums.totals);
        let partitions = Partitions::new(sums.by.clone(), parted, own, self.part);
        self.have_taken(bundle);
        Ok(partitions)
    }

    /// Lets go what a model has, where it is not wanted after all.
    pub fn leave(&mut self, model: usize) {
        if let Ok((bundle, _)) = self.place(model) {
            self.have_taken(bundle);
        }
    }

    fn place(&mut self, model: usize) -> Result<(usize, usize), IngestError> {
        match std::mem::replace(&mut self.models[model], Place::Taken) {
            Place::Member { bundle, member } => Ok((bundle, member)),
            Place::Failed(error) => Err(error),
            Place::Deferred => panic!("model {model} was deferred"),
            Place::Taken => panic!("model {model} was taken before"),
        }
    }

    fn have_taken(&mut self, bundle: usize) {
        if let Some(bundled) = &mut self.bundles[bundle] {
            bundled.left -= 1;
            if bundled.left == 0 {
                self.bundles[bundle] = None;
            }
        }
    }
}
