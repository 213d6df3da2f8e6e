//! PerCell: a number for each cell of a grid.

/// A number for each cell. A cell that does not exist reads as zero, and ignores what is added.
#[derive(Clone, Debug)]
pub(super) struct PerCell(Vec<f64>);

impl PerCell {
    pub(super) fn zero(cells: usize) -> Self {
        Self(vec![0.0; cells])
    }

    pub(super) fn at(&self, cell: usize) -> f64 {
        self.0.get(cell).copied().unwrap_or_default()
    }

    pub(super) fn add(&mut self, cell: usize, number: f64) {
        if let Some(sum) = self.0.get_mut(cell) {
            *sum += number;
        }
    }

    pub(super) fn set(&mut self, cell: usize, number: f64) {
        if let Some(place) = self.0.get_mut(cell) {
            *place = number;
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0.0);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = f64> {
        self.0.iter().copied()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        self.0.iter_mut()
    }

    pub(super) fn sum(&self) -> f64 {
        self.0.iter().sum()
    }

    /// The numbers from this cell on.
    pub(super) fn from(&self, cell: usize) -> &[f64] {
        self.0.get(cell..).unwrap_or_default()
    }

    /// Writes the sums of the cells before each cell, and the sum of all behind the last.
    pub(super) fn sums_into(&self, sums: &mut Self) {
        let mut sum = 0.0;
        sums.0.clear();
        sums.0.push(sum);
        sums.0.extend(self.0.iter().map(|number| {
            sum += number;
            sum
        }));
    }

    pub(super) fn sums(&self) -> Self {
        let mut sums = Self(Vec::with_capacity(self.0.len() + 1));
        self.sums_into(&mut sums);
        sums
    }
}

impl FromIterator<f64> for PerCell {
    fn from_iter<I: IntoIterator<Item = f64>>(numbers: I) -> Self {
        Self(numbers.into_iter().collect())
    }
}
