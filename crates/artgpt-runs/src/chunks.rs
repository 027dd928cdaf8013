//! A growing list in chunks: a clone shares the full chunks and copies only the last one.

use std::sync::Arc;

/// Part of a list. A chunk holds plain items or a compressed form of them.
pub(super) trait Chunk: Clone + Default {
    type Item: Copy;

    fn push(&mut self, item: Self::Item);
    fn get(&self, index: usize) -> Option<Self::Item>;
    fn len(&self) -> usize;
    fn truncate(&mut self, len: usize);
    /// Frees spare capacity. Called once, when the chunk is full.
    fn shrink(&mut self);
}

/// A list of chunks of `SIZE` items. Full chunks never change, so clones share them.
#[derive(Debug, Clone)]
pub(super) struct Chunks<C, const SIZE: usize> {
    full: Vec<Arc<C>>,
    /// Fewer than `SIZE` items.
    last: C,
}

impl<C: Chunk, const SIZE: usize> Default for Chunks<C, SIZE> {
    fn default() -> Self {
        Self { full: Vec::new(), last: C::default() }
    }
}

impl<C: Chunk, const SIZE: usize> Chunks<C, SIZE> {
    pub(super) fn push(&mut self, item: C::Item) {
        self.last.push(item);
        if self.last.len() == SIZE {
            let mut full = std::mem::take(&mut self.last);
            full.shrink();
            self.full.push(Arc::new(full));
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<C::Item> {
        match self.full.get(index / SIZE) {
            Some(chunk) => chunk.get(index % SIZE),
            None => self.last.get(index - self.full.len() * SIZE),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.full.len() * SIZE + self.last.len()
    }

    pub(super) fn last(&self) -> Option<C::Item> {
        self.get(self.len().checked_sub(1)?)
    }

    pub(super) fn truncate(&mut self, len: usize) {
        if len >= self.len() {
            return;
        }
        if let Some(chunk) = self.full.get(len / SIZE) {
            self.last = C::clone(chunk);
            self.full.truncate(len / SIZE);
        }
        self.last.truncate(len % SIZE);
    }

    /// Number of leading items for which `holds` is true; it must be false for all items after them.
    pub(super) fn partition_point(&self, holds: impl Fn(C::Item) -> bool) -> usize {
        let (mut low, mut high) = (0, self.len());
        while low < high {
            let middle = low + (high - low) / 2;
            if self.get(middle).is_some_and(&holds) { low = middle + 1 } else { high = middle }
        }
        low
    }

    /// How many chunks `self` and `other` share.
    #[cfg(test)]
    pub(super) fn shared_with(&self, other: &Self) -> usize {
        self.full.iter().zip(&other.full).filter(|(a, b)| Arc::ptr_eq(a, b)).count()
    }
}

impl<T: Copy> Chunk for Vec<T> {
    type Item = T;

    fn push(&mut self, item: T) {
        Vec::push(self, item);
    }

    fn get(&self, index: usize) -> Option<T> {
        self.as_slice().get(index).copied()
    }

    fn len(&self) -> usize {
        Vec::len(self)
    }

    fn truncate(&mut self, len: usize) {
        Vec::truncate(self, len);
    }

    fn shrink(&mut self) {
        self.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type List = Chunks<Vec<u32>, 4>;

    fn list(count: u32) -> List {
        let mut list = List::default();
        (0..count).for_each(|i| list.push(i));
        list
    }

    fn items(list: &List) -> Vec<u32> {
        (0..list.len()).filter_map(|i| list.get(i)).collect()
    }

    #[test]
    fn a_clone_shares_full_chunks_and_both_go_their_own_way() {
        let mut list = list(10);
        let clone = list.clone();
        list.push(10);
        assert_eq!(clone.shared_with(&list), 2);
        list.truncate(6);
        list.push(60);
        assert_eq!(clone.shared_with(&list), 1);
        assert_eq!(items(&clone), (0..10).collect::<Vec<_>>());
        assert_eq!(items(&list), [0, 1, 2, 3, 4, 5, 60]);
    }

    #[test]
    fn any_length_is_cut_and_searched() {
        for count in 0..14 {
            for len in 0..14 {
                let mut list = list(count);
                list.truncate(len as usize);
                assert_eq!(items(&list), (0..count.min(len)).collect::<Vec<_>>());
                assert_eq!(list.last(), count.min(len).checked_sub(1));
                let found = list.partition_point(|i| i < 5);
                assert_eq!(found, count.min(len).min(5) as usize);
            }
        }
    }
}
