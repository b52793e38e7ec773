//! Blocks to encoded rows for all members of a bundle, as long as they lose the same rows.

use crate::bundle::{BlockPartitions, Bundle};
use tiers_design::{Block, Column, EncodeError, MISSING, RowBlock, Selection};

/// What a block is to a bundle.
#[derive(Debug)]
pub enum Encoded {
    /// Rows of all members, and to which partitions they belong where there are any.
    Rows(Box<(RowBlock, Option<BlockPartitions>)>),
    /// The members cannot go on together: per member its class (members of one class lose the same
    /// rows), or why the block cannot be encoded for it.
    Split(Vec<Result<u32, EncodeError>>),
}

impl Bundle {
    /// Encodes a block. Each member's rows are those that an encoder of its own would keep.
    pub fn encode(&self, block: &Block) -> Encoded {
        let selection = match self.encoder.select(block) {
            Ok(selection) => selection,
            Err(error) => return self.blame(block, &error),
        };
        if let Some(classes) = self.classes(block, &selection) {
            return Encoded::Split(classes.into_iter().map(Ok).collect());
        }
        let partitions = (self.by > 0).then(|| BlockPartitions::of(self, block, &selection));
        match self.encoder.encode_selected(block, selection) {
            Ok(rows) => Encoded::Rows(Box::new((rows, partitions))),
            Err(error) => self.blame(block, &error),
        }
    }

    /// What an error of the bundle is to each member.
    fn blame(&self, block: &Block, error: &EncodeError) -> Encoded {
        if self.members.len() == 1 {
            return Encoded::Split(vec![Err(error.clone())]);
        }
        let alone = |member: &crate::bundle::Member| member.encoder(&self.requests).encode(block).map(|_| 0);
        let mut outcomes: Vec<Result<u32, EncodeError>> = self.members.iter().map(alone).collect();
        if outcomes.iter().all(Result::is_ok) {
            outcomes.iter_mut().for_each(|outcome| *outcome = Err(error.clone()));
        }
        Encoded::Split(outcomes)
    }

    /// Per member the class of rows it loses, unless all lose the same.
    fn classes(&self, block: &Block, selection: &Selection) -> Option<Vec<u32>> {
        if self.members.len() == 1 || selection.kept.is_none() {
            return None;
        }
        // Which of two expressions drops a row that both would drop depends on their order; models
        // with other expressions are told apart, so that each has its own counts.
        let count = selection.not_a_number.len();
        let by_expression = selection.not_a_number.iter().any(|&n| n > 0)
            && self.members.iter().any(|member| !member.expressions.iter().copied().eq(0..count));
        let gaps: Vec<usize> =
            self.own.iter().zip(&selection.missing).filter(|(_, n)| **n > 0).map(|(&request, _)| request).collect();
        let of_member: Vec<Vec<usize>> = self
            .members
            .iter()
            .map(|member| gaps.iter().copied().filter(|gap| member.own.contains(gap)).collect())
            .collect();
        if !by_expression && of_member.windows(2).all(|pair| pair[0] == pair[1]) {
            return None;
        }
        let mut sets: Vec<&[usize]> = of_member.iter().map(Vec::as_slice).collect();
        sets.sort_unstable();
        sets.dedup();
        let rows: Vec<Vec<bool>> = sets.iter().map(|gaps| missing_rows(block, gaps)).collect();
        let mut known: Vec<(&[bool], &[usize])> = Vec::new();
        let mut classes = Vec::with_capacity(self.members.len());
        for (member, gaps) in self.members.iter().zip(&of_member) {
            let set = sets.binary_search(&gaps.as_slice()).expect("every set is there");
            let expressions: &[usize] = if by_expression { &member.expressions } else { &[] };
            let own = (rows[set].as_slice(), expressions);
            let at = known.iter().position(|class| *class == own).unwrap_or(known.len());
            if at == known.len() {
                known.push(own);
            }
            classes.push(at as u32);
        }
        (known.len() > 1).then_some(classes)
    }
}

/// Whether any of these requests is missing, row by row.
fn missing_rows(block: &Block, requests: &[usize]) -> Vec<bool> {
    let mut missing = vec![false; block.rows];
    for &request in requests {
        match &block.columns[request] {
            Column::Numbers(values) => missing.iter_mut().zip(values).for_each(|(out, v)| *out |= v.is_nan()),
            Column::Labels(labels) => {
                missing.iter_mut().zip(&labels.codes).for_each(|(out, &code)| *out |= code == MISSING);
            }
        }
    }
    missing
}
