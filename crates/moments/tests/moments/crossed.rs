//! The moments of crossed designs against sums over the rows of a dense Z, and what they do not depend on.

use std::collections::HashMap;
use tiers_design::{Encoder, RowBlock, Source, ZMatrix, z_matrix};
use tiers_moments::{Crossed, GroupPlace, Ingested, NestError, Structure, accumulate};
use tiers_testdata::{Memory, Random, Values, plan, table_of};
use tiers_testkit::simulate_crossed;

/// The rows of a sample with their sums.
struct Case {
    ingested: Ingested,
    rows: Vec<RowBlock>,
}

fn case(table: &Memory, formula: &str, weights: Option<&'static str>) -> Case {
    let formula: &'static str = Box::leak(formula.to_owned().into_boxed_str());
    let ingested = accumulate(table, &plan(table, (formula, weights, None)), &mut ()).expect("clean rows");
    let encoder = Encoder::new(&ingested.recipe);
    let blocks = table.scan(&ingested.recipe.requests).expect("a table in memory");
    let rows = blocks.map(|raw| encoder.encode(&raw.unwrap().decode().unwrap()).expect("clean rows")).collect();
    Case { ingested, rows }
}

fn structure(case: Case) -> Result<(Structure, ZMatrix, Vec<RowBlock>), NestError> {
    let Ingested { recipe, moments, .. } = case.ingested;
    let z = z_matrix(&recipe, &case.rows);
    Ok((Structure::of(&recipe, moments)?, z, case.rows))
}

fn crossed(structure: &Structure) -> &Crossed {
    match structure {
        Structure::Crossed(crossed) => crossed,
        Structure::Nested(_) => panic!("a nest"),
    }
}

/// `Z'WZ` and `Z'WC` by definition.
fn written(z: &ZMatrix, blocks: &[RowBlock]) -> (Vec<Vec<f64>>, Vec<Vec<f64>>) {
    let (q, m) = (z.z.cols(), blocks[0].columns);
    let (mut zz, mut zc) = (vec![vec![0.0; q]; q], vec![vec![0.0; m]; q]);
    let mut row = 0;
    for block in blocks {
        for i in 0..block.rows {
            let entries = z.z.outer_view(row).expect("a row");
            let w = block.weights.as_ref().map_or(1.0, |w| w[i]);
            for (a, &v) in entries.iter() {
                entries.iter().for_each(|(b, &u)| zz[a][b] += w * v * u);
                (0..m).for_each(|c| zc[a][c] += w * v * block.column(c)[i]);
            }
            row += 1;
        }
    }
    (zz, zc)
}

/// Entries of a matrix by row and column.
type Entries = HashMap<(usize, usize), f64>;

/// The same from the structure. Entries of groups that share no rows are absent.
fn stored(structure: &Structure, z: &ZMatrix) -> (Entries, Entries) {
    let crossed = crossed(structure);
    let named: HashMap<_, _> =
        z.columns.iter().enumerate().map(|(at, c)| ((&c.level[..], c.group.join(":"), c.column), at)).collect();
    let at = |level: usize, place: GroupPlace, effect: usize| {
        let own = &crossed.levels[level];
        named[&(&own.name[..], structure.group_name(level, place), own.z[effect])]
    };
    // The core group with each first effect.
    let mut of_effect: HashMap<u32, (usize, usize)> = HashMap::new();
    for (k, factor) in crossed.core.iter().enumerate() {
        let r = crossed.levels[k + 1].r();
        (0..factor.groups).for_each(|g| _ = of_effect.insert((factor.first + g * r) as u32, (k + 1, g)));
    }
    let (mut zz, mut zc) = (HashMap::new(), HashMap::new());
    let mut own = |level: usize, place: GroupPlace, moments: &[f64], zz: &mut Entries| {
        let z = &crossed.levels[level].z;
        for (i, row) in moments.chunks_exact(crossed.m).enumerate() {
            (0..crossed.m).for_each(|c| _ = zc.insert((at(level, place, i), c), row[c]));
            (0..z.len()).for_each(|j| _ = zz.insert((at(level, place, i), at(level, place, j)), row[z[j]]));
        }
    };
    let block = |one: (usize, GroupPlace), first: u32, entries: &[f64], zz: &mut Entries| {
        let (level, group) = of_effect[&first];
        let place = GroupPlace { shard: 0, group };
        let (r, s) = (crossed.levels[one.0].r(), crossed.levels[level].r());
        assert_eq!(entries.len(), r * s);
        for (i, j) in (0..r).flat_map(|i| (0..s).map(move |j| (i, j))) {
            let old = zz.insert((at(one.0, one.1, i), at(level, place, j)), entries[i * s + j]);
            assert_eq!(old, None, "a pair occurs once");
        }
    };
    for (shard, leaf) in crossed.leaf.iter().enumerate() {
        assert_eq!((leaf.starts.len(), leaf.block_starts.len()), (leaf.groups + 1, leaf.neighbours.len() + 1));
        let size = crossed.levels[0].r() * crossed.m;
        for group in 0..leaf.groups {
            let place = GroupPlace { shard, group };
            own(0, place, &leaf.moments[group * size..(group + 1) * size], &mut zz);
            let range = leaf.starts[group]..leaf.starts[group + 1];
            assert!(leaf.neighbours[range.clone()].is_sorted_by(|a, b| a < b));
            for i in range {
                let entries = &leaf.blocks[leaf.block_starts[i]..leaf.block_starts[i + 1]];
                block((0, place), leaf.neighbours[i], entries, &mut zz);
            }
        }
    }
    let mut number = 0;
    for (k, factor) in crossed.core.iter().enumerate() {
        let size = crossed.levels[k + 1].r() * crossed.m;
        for group in 0..factor.groups {
            let place = GroupPlace { shard: 0, group };
            own(k + 1, place, &factor.moments[group * size..(group + 1) * size], &mut zz);
            let range = crossed.pairs.starts[number]..crossed.pairs.starts[number + 1];
            assert!(crossed.pairs.partners[range.clone()].is_sorted_by(|a, b| a < b));
            for i in range {
                let entries = &crossed.pairs.blocks[crossed.pairs.block_starts[i]..crossed.pairs.block_starts[i + 1]];
                block((k + 1, place), crossed.pairs.partners[i], entries, &mut zz);
            }
            number += 1;
        }
    }
    (zz, zc)
}

#[test]
fn moments_of_crossed_designs_are_those_of_z() {
    let mut compared = 0;
    for seed in 0..60 {
        let sample = simulate_crossed(seed);
        let (table, formula) = table_of(&sample);
        let table = table.in_blocks_of(7 + seed as usize % 40);
        let case = case(&table, &formula, sample.weights.as_ref().map(|_| "w"));
        let (structure, z, rows) = match structure(case) {
            Ok((Structure::Nested(_), ..)) => continue,
            Ok(found) => found,
            // Small samples may have two groupings with the same groups, or be a nest.
            Err(error) if error.to_string().contains("have the same") => continue,
            Err(error) => panic!("seed {seed}: {error}"),
        };
        compared += 1;
        let ((zz, zc), (got_zz, got_zc)) = (written(&z, &rows), stored(&structure, &z));
        let close = |got: f64, want: f64, what: &str| {
            assert!((got - want).abs() <= 1e-11 * (1.0 + want.abs()), "seed {seed} {formula}: {what}: {got} {want}");
        };
        for (a, row) in zz.iter().enumerate() {
            for (b, &want) in row.iter().enumerate() {
                let got = got_zz.get(&(a, b)).or_else(|| got_zz.get(&(b, a))).copied();
                close(got.unwrap_or(0.0), want, "Z'WZ");
            }
            (0..zc[a].len()).for_each(|c| close(got_zc[&(a, c)], zc[a][c], "Z'WC"));
        }
        let crossed = crossed(&structure);
        let rows_of = |k: usize| structure.group_rows(k, &structure.sorted_groups(k)).iter().sum::<u64>();
        assert!((0..crossed.levels.len()).all(|k| rows_of(k) == sample.n() as u64));
    }
    assert!(compared >= 45, "only {compared} designs cross");
}

#[test]
fn groups_are_sorted_by_their_labels() {
    let sample = simulate_crossed(2);
    let (table, formula) = table_of(&sample);
    let (structure, ..) = structure(case(&table, &formula, None)).expect("a design");
    for k in 0..structure.levels().len() {
        let names: Vec<i64> =
            structure.sorted_groups(k).iter().map(|&at| structure.group_name(k, at).parse().unwrap()).collect();
        assert!(names.is_sorted_by(|a, b| a < b), "{names:?}");
        assert_eq!(names.len(), structure.levels()[k].groups);
        let groups = structure.sorted_groups(k);
        let squares: f64 = structure.group_rows(k, &groups).iter().map(|&n| (n * n) as f64).sum();
        assert_eq!(structure.squared_sizes(k), squares);
    }
}

/// Students who rate lecturers of departments, a few times each.
fn ratings() -> Memory {
    let mut random = Random(4);
    let student: Vec<i64> = (0..200).map(|_| random.below(30) as i64).collect();
    let lecturer: Vec<i64> = (0..200).map(|_| random.below(12) as i64).collect();
    Memory::new(vec![
        ("y", Values::Numbers((0..200).map(|_| random.normal()).collect())),
        ("x", Values::Numbers((0..200).map(|_| random.normal()).collect())),
        ("student", Values::Ids(student)),
        ("department", Values::Ids(lecturer.iter().map(|l| l % 4).collect())),
        ("twin", Values::Texts(lecturer.iter().map(|l| format!("L{l}")).collect())),
        ("lecturer", Values::Ids(lecturer)),
    ])
}

fn names(formula: &str) -> Vec<String> {
    let (structure, ..) = structure(case(&ratings(), formula, None)).expect("a design");
    crossed(&structure).levels.iter().map(|level| level.name.clone()).collect()
}

#[test]
fn the_leaf_has_the_most_effects_and_holds_no_other_groups() {
    assert_eq!(names("y ~ x + (1 | lecturer) + (1 | student)"), ["student", "lecturer"]);
    assert_eq!(names("y ~ x + (1 + x | lecturer) + (1 | student)"), ["student", "lecturer"]);
    assert_eq!(names("y ~ x + (1 + x + I(x^2) | lecturer) + (1 | student)"), ["lecturer", "student"]);
    // Departments of lecturers have more effects than the lecturers, but hold them.
    let formula = "y ~ x + (1 + x + I(x^2) + I(x^3) | department) + (1 | lecturer) + (1 | student:department)";
    assert_eq!(names(formula), ["student:department", "department", "lecturer"]);
}

#[test]
fn two_crossed_groupings_with_the_same_groups_are_an_error() {
    let error = structure(case(&ratings(), "y ~ x + (1 | student) + (1 | twin) + (1 | lecturer)", None)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("twin and lecturer have the same 12 groups"), "{text}");
    let twice = structure(case(&ratings(), "y ~ x + (1 | student) + (1 | lecturer) + (1 + x | student)", None));
    assert!(twice.unwrap_err().to_string().contains("(Intercept) occurs twice for student"));
}

#[test]
fn a_structure_has_the_same_bits_for_any_number_of_threads_and_any_order_of_factors() {
    let text = |threads: usize, formula: &str| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a pool");
        pool.install(|| {
            let sample = simulate_crossed(5);
            let table = table_of(&sample).0.in_blocks_of(11);
            let (structure, ..) = structure(case(&table, formula, None)).expect("a design");
            let Crossed { leaf, core, pairs, .. } = crossed(&structure);
            format!("{leaf:?} {core:?} {pairs:?}")
        })
    };
    let want = text(1, "y ~ c1 + (1 + c1 | g0) + (1 | g1) + (1 | g2)");
    assert_eq!(text(2, "y ~ c1 + (1 + c1 | g0) + (1 | g1) + (1 | g2)"), want);
    assert_eq!(text(7, "y ~ c1 + (1 | g2) + (1 + c1 | g0) + (1 | g1)"), want);
}
