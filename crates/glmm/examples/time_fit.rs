//! Times a generalised fit of simulated rows in memory, stage by stage: Bernoulli rows of pupils in classes in
//! schools, nine coefficients, a random intercept for schools and classes.
//!
//! ```text
//! cargo run --release -p tiers-glmm --example time_fit -- [ROWS] [FORMULA]
//! ```
#![allow(clippy::print_stdout)]

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Instant;
use tiers_design::{
    BLOCK_ROWS, Block, Column, Dictionary, Field, Formula, Kind, Labels, Plan, RawBlock, Request, Scan, Settings,
    Source, SourceError,
};
use tiers_glmm::{Distribution, Family, GlmmObserver, GlmmSettings, fit_glmm};
use tiers_moments::{ReadObserver, accumulate};
use tiers_reml::{NewtonSettings, Step};

const FORMULA: &str = "y ~ pretest + ses + female + minority + treat + class_size + (1 | school/class)";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let rows = arguments.next().map_or(Ok(100_000), |rows| rows.parse::<usize>())?;
    let formula: Formula = arguments.next().as_deref().unwrap_or(FORMULA).parse()?;
    let table = Blocks::simulate(rows, 1);

    let mut clock = Clock { last: Instant::now() };
    let settings = Settings { generalised: true, ..Settings::default() };
    let plan = Plan::new(&formula, table.fields(), &settings)?;
    let ingested = accumulate(&table, &plan, &mut ())?;
    clock.lap("moments");
    let distribution = Distribution::new(Family::Binomial, None)?;
    let settings = GlmmSettings {
        distribution,
        newton: NewtonSettings::default(),
        confidence: 0.95,
        nodes: 1,
        laplace_error: false,
    };
    let fitted = fit_glmm(ingested, &table, &settings, &mut clock)?.fit;
    clock.lap("last Hessian, random effects");
    println!(
        "criterion {:.6}, {} evaluations, theta {:?}",
        fitted.criterion, fitted.optimizer.evaluations, fitted.theta
    );
    Ok(())
}

/// Prints the seconds since the last stage.
struct Clock {
    last: Instant,
}

impl Clock {
    fn lap(&mut self, stage: &str) {
        println!("{:8.3} s  {stage}", self.last.elapsed().as_secs_f64());
        self.last = Instant::now();
    }
}

impl ReadObserver for Clock {
    fn rows_read(&mut self, _: u64) -> bool {
        true
    }

    fn restarted(&mut self, _: &str, _: &str) {}
}

impl GlmmObserver for Clock {
    fn second_pass(&mut self, _: u64) -> &mut dyn ReadObserver {
        self.lap("model");
        self
    }

    fn evaluated(&mut self, criterion: f64, _: &Step) -> bool {
        self.lap(&format!("evaluation with the work before it, criterion {criterion:.6}"));
        true
    }
}

/// A table in memory as blocks of columns.
struct Blocks {
    fields: Vec<Field>,
    blocks: Vec<Block>,
}

impl Source for Blocks {
    fn fields(&self) -> &[Field] {
        &self.fields
    }

    fn scan(&self, requests: &[Request]) -> Result<Scan, SourceError> {
        let position = |request: &Request| {
            self.fields.iter().position(|field| field.name == request.column).ok_or("no such column")
        };
        let positions: Vec<usize> = requests.iter().map(position).collect::<Result<_, _>>()?;
        let select = |block: &Block| -> Result<Box<dyn RawBlock>, SourceError> {
            let columns = positions.iter().map(|&at| block.columns[at].clone()).collect();
            Ok(Box::new(Block { columns, ..*block }))
        };
        Ok(Box::new(self.blocks.iter().map(select).collect::<Vec<_>>().into_iter()))
    }
}

/// Rows of pupils, class after class.
#[derive(Default)]
struct Pupils {
    school: Vec<i64>,
    class: Vec<i64>,
    minority: Vec<u32>,
    numbers: [Vec<f64>; 6],
}

const NUMBERS: [&str; 6] = ["pretest", "ses", "female", "treat", "class_size", "y"];

impl Blocks {
    fn simulate(rows: usize, seed: u64) -> Blocks {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut normal = move || {
            // The sum of twelve uniform numbers is close enough to normal.
            (0..12).map(|_| rng.random_range(-0.5..0.5)).sum::<f64>()
        };
        let mut rng = StdRng::seed_from_u64(seed + 1);
        let mut pupils = Pupils::default();
        let mut school = 0;
        while pupils.school.len() < rows {
            school += 1;
            let (treat, of_school) = (f64::from(rng.random_range(0..2)), 0.54 * normal());
            for class in 1..=rng.random_range(2..=28) {
                let (size, of_class) = (rng.random_range(10..=35), 0.45 * normal());
                for _ in 0..size {
                    let (pretest, ses, female) = (normal(), normal(), f64::from(rng.random_range(0..2)));
                    let minority = [0, 0, 0, 0, 0, 0, 1, 2, 2, 3][rng.random_range(0..10)];
                    let eta = -0.6
                        + 1.08 * pretest
                        + 0.27 * ses
                        + 0.14 * female
                        + [0.0, -0.22, 0.13, -0.09][minority]
                        + 0.36 * treat
                        - 0.018 * f64::from(size)
                        + of_school
                        + of_class;
                    let y = f64::from(u8::from(rng.random_bool(1.0 / (1.0 + f64::exp(-eta)))));
                    pupils.school.push(school);
                    pupils.class.push(class);
                    pupils.minority.push(minority as u32);
                    let numbers = [pretest, ses, female, treat, f64::from(size), y];
                    pupils.numbers.iter_mut().zip(numbers).for_each(|(column, value)| column.push(value));
                }
            }
        }
        pupils.into_blocks(rows)
    }
}

impl Pupils {
    fn into_blocks(self, rows: usize) -> Blocks {
        let mut fields = vec![
            Field::new("school", Kind::Integer),
            Field::new("class", Kind::Integer),
            Field::new("minority", Kind::Text),
        ];
        fields.extend(NUMBERS.map(|name| Field::new(name, Kind::Float)));
        let block = |start: usize| {
            let range = start..rows.min(start + BLOCK_ROWS);
            let labels = Labels {
                codes: self.minority[range.clone()].to_vec(),
                dictionary: Dictionary::Text(["A", "B", "C", "D"].iter().collect()),
            };
            let mut columns = vec![
                Column::Labels(numbered(&self.school[range.clone()])),
                Column::Labels(numbered(&self.class[range.clone()])),
                Column::Labels(labels),
            ];
            columns.extend(self.numbers.iter().map(|values| Column::Numbers(values[range.clone()].to_vec())));
            Block { first_row: start as u64, rows: range.len(), columns }
        };
        let blocks = (0..rows).step_by(BLOCK_ROWS).map(block).collect();
        Blocks { fields, blocks }
    }
}

/// Labels of whole numbers.
fn numbered(values: &[i64]) -> Labels {
    let mut known: Vec<i64> = values.to_vec();
    known.sort_unstable();
    known.dedup();
    let codes = values.iter().map(|value| known.partition_point(|k| k < value) as u32).collect();
    Labels { codes, dictionary: Dictionary::Integer(known) }
}
