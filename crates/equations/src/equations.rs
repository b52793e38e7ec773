//! The interface between the equations and the criteria: everything that a criterion asks of the data,
//! whatever the structure of the groupings.

use crate::core::{CoreRoute, CrossedCost, CrossedPlan, CrossedScratch};
use crate::covariances::Covariances;
use crate::fixed::FixedEffects;
use crate::tree::{Curvature, CurvatureAt, Direction, Sums, TreePlan, TreeScratch};
use rayon::prelude::*;
use std::convert::Infallible;
use tiers_moments::{Crossed, Forest, Level, RowTotals, Structure, Tree, TreeLevel, in_order, padded};

/// The mixed-model equations of a model. Evaluations do not change their state.
#[derive(Debug)]
pub struct Equations {
    structure: Structure,
    plan: Plan,
}

/// The plan of the elimination of a structure.
#[derive(Clone, Debug)]
enum Plan {
    Nested(TreePlan),
    Crossed(CrossedPlan),
}

/// A structure with the plan of its elimination.
pub(crate) enum Route<'a> {
    Nested(&'a Forest, &'a TreePlan),
    Crossed(&'a Crossed, &'a CrossedPlan),
}

/// What an evaluation computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    /// `log|A|` and the Schur complement.
    Value,
    /// Also their derivatives by the entries of G.
    Derivatives,
}

/// Workspace of evaluations; one per caller. An evaluation overwrites it and allocates nothing per group.
#[derive(Debug)]
pub struct Scratch {
    of: ScratchOf,
}

#[derive(Debug)]
enum ScratchOf {
    Nested(Vec<TreeScratch>),
    Crossed(CrossedScratch),
}

/// Which sums [`Equations::curvature`] computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CurvatureTerms {
    /// Those of `log|V|` and of the residual.
    Random,
    /// Also [`Curvature::fixed`].
    Fixed,
    /// Also [`Curvature::fixed`] and [`Curvature::products`].
    Products,
}

/// Point at which second derivatives are taken.
#[derive(Clone, Copy, Debug)]
pub struct CurvaturePoint<'a> {
    /// The relative covariances.
    pub covariances: &'a Covariances,
    /// The fixed effects there.
    pub fixed: &'a FixedEffects,
    /// The entries of G by which derivatives are taken, finest level first.
    pub directions: &'a [Direction],
    /// The requested sums.
    pub terms: CurvatureTerms,
}

impl Equations {
    /// Plans the elimination of a structure.
    pub fn new(structure: Structure) -> Self {
        let plan = match &structure {
            Structure::Nested(forest) => Plan::Nested(TreePlan::new(forest)),
            Structure::Crossed(design) => Plan::Crossed(CrossedPlan::new(design)),
        };
        Equations { structure, plan }
    }

    /// Returns the structure with its plan.
    pub(crate) fn route(&self) -> Route<'_> {
        match (&self.structure, &self.plan) {
            (Structure::Nested(forest), Plan::Nested(plan)) => Route::Nested(forest, plan),
            (Structure::Crossed(design), Plan::Crossed(plan)) => Route::Crossed(design, plan),
            _ => unreachable!("the plan is that of the structure"),
        }
    }

    /// Returns the structure, whose moments of y a simulator replaces.
    pub(crate) fn structure_mut(&mut self) -> &mut Structure {
        &mut self.structure
    }

    /// Returns the structure of the groupings.
    pub fn structure(&self) -> &Structure {
        &self.structure
    }

    /// Returns the levels of random effects; in a nest the finest first.
    pub fn levels(&self) -> &[Level] {
        self.structure.levels()
    }

    /// Returns the sums over all rows.
    pub fn totals(&self) -> RowTotals<'_> {
        self.structure.totals()
    }

    /// Returns the number of groups of all levels.
    pub fn groups(&self) -> usize {
        self.levels().iter().map(|level| level.groups).sum()
    }

    /// Allocates a workspace for evaluations.
    pub fn scratch(&self) -> Scratch {
        let of = match self.route() {
            Route::Nested(forest, plan) => {
                let of_tree = |tree: &Tree| TreeScratch::new(plan, tree);
                ScratchOf::Nested(forest.trees.par_iter().map(of_tree).collect())
            }
            Route::Crossed(design, plan) => ScratchOf::Crossed(CrossedScratch::new(plan, design)),
        };
        Scratch { of }
    }

    /// Eliminates the random effects at the relative covariances: `log|A|`, what `C'WC` loses, and their
    /// derivatives if requested.
    ///
    /// # Panics
    /// If the scratch is not one of these equations.
    pub fn evaluate(&self, at: &Covariances, want: Want, scratch: &mut Scratch) -> Sums {
        let derivatives = want == Want::Derivatives;
        match (self.route(), &mut scratch.of) {
            (Route::Nested(forest, plan), ScratchOf::Nested(scratch)) => {
                let at_once = in_order::at_once(self.bytes_of_sums(want), forest.trees.len());
                let trees = forest.trees.chunks(at_once).zip(scratch.chunks_mut(at_once));
                let made = in_order::merged(
                    trees.map(|(trees, scratch)| trees.par_iter().zip(scratch)),
                    |(tree, scratch)| Ok::<_, Infallible>(plan.evaluate(tree, at.by_level(), derivatives, scratch)),
                    Sums::merge,
                );
                let Ok(total) = made;
                total.expect("a forest has shards")
            }
            (Route::Crossed(design, plan), ScratchOf::Crossed(scratch)) => plan.evaluate(design, at, want, scratch),
            _ => panic!("the scratch is that of other equations"),
        }
    }

    /// Returns the bytes of the sums of a shard.
    fn bytes_of_sums(&self, want: Want) -> usize {
        let width = padded(self.totals().m);
        let entries: usize = self.levels().iter().map(|level| level.r() * (level.r() + 1) / 2).sum();
        let matrices = 1 + if want == Want::Derivatives { entries } else { 0 };
        8 * matrices * width * width
    }

    /// Computes the sums of the second derivatives.
    pub fn curvature(&self, at: &CurvaturePoint<'_>) -> Curvature {
        match self.route() {
            Route::Nested(forest, plan) => self.curvature_of(plan, &forest.trees, at),
            Route::Crossed(design, plan) => self.curvature_of_design(plan, design, at),
        }
    }

    /// Computes the sums of the second derivatives of a crossed design, or of a part of it.
    pub(crate) fn curvature_of_design(
        &self,
        plan: &CrossedPlan,
        design: &Crossed,
        at: &CurvaturePoint<'_>,
    ) -> Curvature {
        let mut scratch = CrossedScratch::new(plan, design);
        self.with_terms(at, |here| plan.curvature(design, at.covariances, here, &mut scratch))
    }

    /// Returns the layout of the core of a crossed design; `None` for a nest.
    pub fn route_of_core(&self) -> Option<CoreRoute> {
        match self.route() {
            Route::Nested(..) => None,
            Route::Crossed(_, plan) => Some(plan.route()),
        }
    }

    /// Returns what the equations of a crossed design cost; `None` for a nest.
    pub fn cost_of_core(&self) -> Option<CrossedCost> {
        match self.route() {
            Route::Nested(..) => None,
            Route::Crossed(design, plan) => Some(plan.cost(design)),
        }
    }

    /// Computes the sums of the second derivatives over some trees.
    pub(crate) fn curvature_of(&self, plan: &TreePlan, trees: &[Tree], at: &CurvaturePoint<'_>) -> Curvature {
        let (m, d) = (self.totals().m, at.directions.len());
        let bytes = if at.terms == CurvatureTerms::Products { 8 * d * d * m * m } else { 0 };
        let made = self.with_terms(at, |here| {
            in_order::merged(
                trees.chunks(in_order::at_once(bytes, trees.len())).map(|some| some.par_iter()),
                |tree| Ok::<_, Infallible>(plan.curvature(tree, here)),
                Curvature::merge,
            )
        });
        let Ok(total) = made;
        total.expect("a forest has shards")
    }

    /// Calls a function with the requested terms of the second derivatives at a point.
    fn with_terms<T>(&self, at: &CurvaturePoint<'_>, of: impl FnOnce(&CurvatureAt<'_>) -> T) -> T {
        let m = self.totals().m;
        let residual = at.fixed.residual(m);
        let with_fixed = at.terms != CurvatureTerms::Random;
        let s_xx_inverse = if with_fixed { spread_xx_inverse(at.fixed, m) } else { Vec::new() };
        of(&CurvatureAt {
            g: at.covariances.by_level(),
            directions: at.directions,
            residual: &residual,
            s_xx_inverse: with_fixed.then_some(&s_xx_inverse[..]),
            with_products: at.terms == CurvatureTerms::Products,
        })
    }

    /// Returns a copy of the moments without labels, whose response a [`Simulator`](crate::Simulator) can
    /// replace.
    #[must_use]
    pub fn copy_of_moments(&self) -> Equations {
        let level = |level: &TreeLevel| TreeLevel {
            groups: level.groups,
            parent: level.parent.clone(),
            moments: level.moments.clone(),
            ..TreeLevel::default()
        };
        let tree = |tree: &Tree| Tree { levels: tree.levels.iter().map(level).collect(), labels: Vec::new() };
        let structure = match &self.structure {
            Structure::Nested(forest) => Structure::Nested(Forest {
                m: forest.m,
                levels: forest.levels.clone(),
                trees: forest.trees.iter().map(tree).collect(),
                labels: Vec::new(),
                cross: forest.cross.clone(),
                rows: forest.rows,
                sum_log_weights: forest.sum_log_weights,
            }),
            Structure::Crossed(design) => Structure::Crossed(design.without_labels()),
        };
        Equations { structure, plan: self.plan.clone() }
    }

    /// Returns the bytes of the moments by group that [`Equations::copy_of_moments`] copies.
    pub fn bytes_of_moments(&self) -> usize {
        match &self.structure {
            Structure::Nested(forest) => {
                let levels = forest.trees.iter().flat_map(|tree| &tree.levels);
                levels.map(|level| 8 * level.moments.len() + 4 * level.parent.len()).sum()
            }
            Structure::Crossed(design) => design.bytes_of_moments(),
        }
    }
}

/// Returns `S_xx⁻¹` at the columns of C that are X, and zero elsewhere, m×m row-major.
fn spread_xx_inverse(fixed: &FixedEffects, m: usize) -> Vec<f64> {
    let mut out = vec![0.0; m * m];
    for (i, &c) in fixed.x.iter().enumerate() {
        for (j, &d) in fixed.x.iter().enumerate() {
            out[c * m + d] = fixed.xx_inverse[(i, j)];
        }
    }
    out
}
