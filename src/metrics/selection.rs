//! Which rows of an account a family writes, and the sum of the rows that are folded.
//!
//! Input: indices into the rows of one account. Output: the rows to write, one family at a time.
//! Invariants: a family that is summed counts every row once; a folded row that is in trouble is
//! written under its own name in the families that are not summed. Deliberately absent: the decision
//! which rows fold (see `budget`).

/// Whether a family shows the sum of folded rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summed {
    /// It shows their sum as `__other__`.
    Yes,
    /// It omits them: a ratio, mean or position over several instruments means nothing.
    No,
}

/// How many series a row costs; 0 until it is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeriesWeight {
    /// Under its own name: its series in all families.
    pub unfolded: u32,
    /// Folded and in trouble: its series in the families that are not summed.
    pub in_trouble: u32,
}

/// The rows of one label that are written.
#[derive(Clone, Debug, Default)]
pub enum RowSelection<R> {
    /// All rows.
    #[default]
    All,
    /// Some rows, and the sum of the others.
    Folded(Box<FoldedRows<R>>),
}

/// Indices of the rows that are written, and the sum of the others.
#[derive(Clone, Debug)]
pub struct FoldedRows<R> {
    /// Rows under their own name.
    pub unfolded: Vec<usize>,
    /// Folded rows that are in trouble.
    pub in_trouble: Vec<usize>,
    /// All folded rows.
    pub folded: Vec<usize>,
    /// The sum of the folded rows.
    pub sum: R,
}

impl<R> RowSelection<R> {
    /// How many rows a family writes.
    #[must_use]
    pub(super) fn len(&self, rows: usize, summed: Summed) -> usize {
        match self {
            Self::All => rows,
            Self::Folded(part) => match summed {
                Summed::Yes => part.unfolded.len() + 1,
                Summed::No => part.unfolded.len() + part.in_trouble.len(),
            },
        }
    }

    /// The `n`th row that a family writes, with its index; the sum has none. `n` is below
    /// [`Self::len`].
    pub(super) fn at<'a>(
        &'a self,
        n: usize,
        rows: &'a [R],
        summed: Summed,
    ) -> Option<(Option<usize>, &'a R)> {
        let index = match self {
            Self::All => n,
            Self::Folded(part) => match (part.unfolded.get(n), summed) {
                (Some(index), _) => *index,
                (None, Summed::Yes) => return Some((None, &part.sum)),
                (None, Summed::No) => *part.in_trouble.get(n.checked_sub(part.unfolded.len())?)?,
            },
        };
        Some((Some(index), rows.get(index)?))
    }

    /// Indices of the folded rows.
    #[must_use]
    pub fn folded(&self) -> impl ExactSizeIterator<Item = usize> + '_ {
        let folded: &[usize] = match self {
            Self::All => &[],
            Self::Folded(part) => &part.folded,
        };
        folded.iter().copied()
    }
}
