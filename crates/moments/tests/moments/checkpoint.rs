//! A resumed pass is bit-identical to an uninterrupted one; a damaged checkpoint is refused.

use crate::support::bits;
use tiers_moments::{
    Checkpoint, CheckpointError, IngestError, PassState, ReadObserver, Reading, Shared, Wanted, accumulate_many,
};
use tiers_testdata::{MODELS, Memory, Random, Values, plan, students};

const FINGERPRINT: &str = "students, 1 file of 12345 bytes";

/// Keeps every state, and cancels the work after a number of them.
struct Keeping {
    stop_after: usize,
    kept: Vec<Vec<u8>>,
    complete: bool,
}

impl Keeping {
    fn new(stop_after: usize) -> Self {
        Keeping { stop_after, kept: Vec::new(), complete: false }
    }
}

impl ReadObserver for Keeping {
    fn rows_read(&mut self, _: u64) -> bool {
        self.kept.len() + 1 < self.stop_after
    }
    fn restarted(&mut self, _: &str, _: &str) {}
    fn checkpoint(&mut self, state: &PassState<'_>) {
        let mut bytes = Vec::new();
        state.write(FINGERPRINT, &mut bytes).unwrap();
        self.kept.push(bytes);
        self.complete = state.is_complete();
    }
}

fn wanted(table: &Memory, wishes: &[usize]) -> Vec<Wanted> {
    let mut wanted: Vec<Wanted> = wishes.iter().map(|&wish| Wanted::new(plan(table, MODELS[wish]))).collect();
    wanted.push(Wanted { by: vec!["state".to_owned()], ..wanted[0].clone() });
    wanted
}

fn read(
    table: &Memory,
    wanted: &[Wanted],
    resume: Option<Checkpoint>,
    observer: &mut Keeping,
) -> Result<Shared, IngestError> {
    accumulate_many(table, wanted, &Reading::default(), resume, observer)
}

fn from_bytes(bytes: &[u8]) -> Result<Checkpoint, CheckpointError> {
    Checkpoint::read(&mut &bytes[..], FINGERPRINT)
}

fn all_bits(mut shared: Shared, models: usize) -> Vec<String> {
    let mut all: Vec<String> = (0..models - 1).map(|model| bits(MODELS[model].0, shared.take(model))).collect();
    let partitions = shared.take_partitions(models - 1).unwrap();
    all.extend((0..partitions.len()).map(|p| bits(&partitions.labels(p).concat(), partitions.ingested(p))));
    all
}

/// Models with gaps in some columns, so that they diverge, and one that fails during the pass.
fn table() -> Memory {
    let rows = 2_000;
    let mut bad = vec![1.0; rows];
    bad[1_200] = f64::INFINITY;
    students(rows, 21, true).with("z2", Values::Numbers(bad)).in_blocks_of(20)
}

#[test]
fn a_resumed_pass_is_bit_identical_to_an_uninterrupted_one() {
    let table = table();
    let wanted = wanted(&table, &[0, 1, 2, 3, 4, 5, 7, 8, 12]);
    let mut watch = Keeping::new(usize::MAX);
    let want = all_bits(read(&table, &wanted, None, &mut watch).unwrap(), wanted.len());
    assert!(watch.complete);
    let waves = watch.kept.len();
    assert!(waves > 4, "{waves}");
    for (at, bytes) in watch.kept.iter().enumerate() {
        let checkpoint = from_bytes(bytes).unwrap();
        assert_eq!(checkpoint.is_complete(), at + 1 == waves);
        let mut again = Keeping::new(usize::MAX);
        let got = read(&table, &wanted, Some(checkpoint), &mut again).unwrap();
        assert_eq!(all_bits(got, wanted.len()), want, "from checkpoint {at}");
        // The states kept during the pass are the same, too.
        assert!(again.kept.iter().eq(&watch.kept[at + 1..]), "after checkpoint {at}");
    }
}

#[test]
fn an_interrupted_pass_leaves_its_last_state() {
    let table = table();
    let wanted = wanted(&table, &[0, 3, 8]);
    let whole = all_bits(read(&table, &wanted, None, &mut Keeping::new(usize::MAX)).unwrap(), wanted.len());
    // One wave at a time.
    let mut resume = None;
    let mut stops = 0;
    let got = loop {
        let mut watch = Keeping::new(1);
        match read(&table, &wanted, resume, &mut watch) {
            Err(IngestError::Interrupted) => {
                stops += 1;
                resume = Some(from_bytes(watch.kept.last().unwrap()).unwrap());
            }
            done => break done.unwrap(),
        }
        assert!(stops < 100, "no progress");
    };
    assert!(stops > 4, "{stops}");
    assert_eq!(all_bits(got, wanted.len()), whole);
}

#[test]
fn a_damaged_checkpoint_is_refused() {
    let table = table();
    let wanted = wanted(&table, &[1, 3]);
    let mut watch = Keeping::new(3);
    let stopped = read(&table, &wanted, None, &mut watch).unwrap_err();
    assert!(matches!(stopped, IngestError::Interrupted));
    let good = watch.kept.pop().unwrap();
    from_bytes(&good).unwrap();
    let mut random = Random(77);
    for variant in 0..600 {
        let mut bytes = good.clone();
        let at = random.below(bytes.len());
        match variant % 5 {
            0 => bytes[at] ^= 1 << random.below(8),
            1 => bytes[at] = bytes[at].wrapping_add(1 + random.below(255) as u8),
            2 => bytes.truncate(at),
            3 => bytes.insert(at, random.below(256) as u8),
            _ => {
                let other = random.below(bytes.len());
                let end = (at + 1 + random.below(64)).min(bytes.len());
                bytes[at..end].reverse();
                bytes[other] ^= 0x55;
            }
        }
        match from_bytes(&bytes) {
            Ok(_) => assert_eq!(bytes, good, "variant {variant} was taken"),
            Err(CheckpointError::Damaged(_) | CheckpointError::Foreign) => {}
            Err(other) => panic!("variant {variant}: {other}"),
        }
    }
    assert!(matches!(from_bytes(b"PAR1"), Err(CheckpointError::Foreign)));
    assert!(matches!(from_bytes(&[]), Err(CheckpointError::Foreign)));
}

#[test]
fn a_checkpoint_of_other_inputs_is_refused() {
    let table = table();
    let models = wanted(&table, &[1, 3]);
    let mut watch = Keeping::new(2);
    read(&table, &models, None, &mut watch).unwrap_err();
    let bytes = watch.kept.pop().unwrap();
    let error = Checkpoint::read(&mut &bytes[..], "other files").unwrap_err();
    assert!(matches!(error, CheckpointError::Inputs { .. }), "{error}");
    assert!(error.to_string().contains(FINGERPRINT), "{error}");
    for others in [vec![1], vec![3, 1], vec![2, 3], vec![1, 3, 3]] {
        let checkpoint = from_bytes(&bytes).unwrap();
        let error = read(&table, &wanted(&table, &others), Some(checkpoint), &mut Keeping::new(2)).unwrap_err();
        assert!(matches!(error, IngestError::Checkpoint(CheckpointError::Models(_))), "{others:?}: {error}");
    }
}
