//! The tree of a group: leaves in the order in which they joined, empty places behind them.
//!
//! Empty subtrees are not stored, so a group of n members takes about 2n elements. An empty place is the
//! element 0, which is no identity's commitment: no preimage of 0 is known.

use std::sync::LazyLock;

use crate::circuit::halo2::{Base, Element};
use crate::circuits::credentials::poseidon;

/// Depth of the tree. A group has room for 2^32 members.
pub const DEPTH: usize = 32;

/// The root of an empty subtree of each height.
// Hashed once: in a small group, most siblings of a path are roots of empty subtrees.
static EMPTY: LazyLock<[Base; DEPTH + 1]> = LazyLock::new(|| {
    let mut node = Base::zero();
    std::array::from_fn(|height| {
        if height > 0 {
            node = poseidon::node(node, node);
        }
        node
    })
});

/// The group has no place left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the group is full: it has 2^32 members")]
pub struct GroupFull;

/// A group: the commitments of its members, in a Merkle tree of depth [`DEPTH`].
#[derive(Debug, Clone)]
pub struct Group {
    /// Nodes by level: leaves at 0, the root at 32. A level ends where only empty subtrees follow.
    levels: [Vec<Base>; DEPTH + 1],
}

impl Group {
    /// Creates a group without members.
    pub fn new() -> Self {
        Group { levels: std::array::from_fn(|_| Vec::new()) }
    }

    /// Adds a member and returns its index.
    ///
    /// # Errors
    /// Fails, and adds nothing, when there is no place left.
    pub fn append(&mut self, commitment: Element) -> Result<u32, GroupFull> {
        let index = u32::try_from(self.len()).map_err(|_| GroupFull)?;
        self.append_all([commitment])?;
        Ok(index)
    }

    /// Adds members. Costs about one hash for each, and 32 in addition.
    ///
    /// # Errors
    /// Fails, and adds nothing, when there are too few places left.
    pub fn append_all(&mut self, commitments: impl IntoIterator<Item = Element>) -> Result<(), GroupFull> {
        let first = self.len();
        self.levels[0].extend(commitments.into_iter().map(|commitment| commitment.0));
        // Counted afterwards, because an iterator does not know its length beforehand.
        if self.len() as u64 > 1 << DEPTH {
            self.levels[0].truncate(first);
            return Err(GroupFull);
        }
        self.rehash(first);
        Ok(())
    }

    /// Returns the number of members.
    pub fn len(&self) -> usize {
        self.levels[0].len()
    }

    /// Checks whether the group has no members.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the root.
    pub fn root(&self) -> Element {
        Element(self.node(DEPTH, 0))
    }

    /// Returns the path of the member at `index`.
    pub fn path(&self, index: u32) -> Option<Path> {
        self.levels[0].get(index as usize)?;
        let siblings =
            std::array::from_fn(|height| Element(self.node(height, (index as usize >> height) ^ 1)));
        Some(Path { index, siblings })
    }

    /// Returns the path of the member with that commitment, from its first place if it has several. Searches
    /// all members.
    pub fn path_of(&self, commitment: Element) -> Option<Path> {
        let index = self.levels[0].iter().position(|leaf| *leaf == commitment.0)?;
        self.path(u32::try_from(index).ok()?)
    }

    /// Returns the node at a height, counted from the left.
    fn node(&self, height: usize, index: usize) -> Base {
        self.levels[height].get(index).copied().unwrap_or(EMPTY[height])
    }

    /// Computes the nodes above the leaves from `first` on.
    fn rehash(&mut self, first: usize) {
        for height in 0..DEPTH {
            let parents = self.levels[height].len().div_ceil(2);
            // The parent of the first new leaf may have been hashed with an empty place, so it is computed
            // again.
            self.levels[height + 1].truncate(first >> (height + 1));
            for parent in self.levels[height + 1].len()..parents {
                let hash = poseidon::node(self.node(height, 2 * parent), self.node(height, 2 * parent + 1));
                self.levels[height + 1].push(hash);
            }
        }
    }
}

impl Default for Group {
    fn default() -> Self {
        Self::new()
    }
}

/// The way from a leaf to the root. It reveals which member it belongs to: keep it as secret as that.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    /// Index of the leaf.
    pub index: u32,
    /// Siblings, the leaf's own first.
    pub siblings: [Element; DEPTH],
}

impl Path {
    /// Computes the root that the path leads to from `leaf`.
    pub fn root(&self, leaf: Element) -> Element {
        let mut node = leaf.0;
        for (height, sibling) in self.siblings.iter().enumerate() {
            node = match self.index >> height & 1 {
                0 => poseidon::node(node, sibling.0),
                _ => poseidon::node(sibling.0, node),
            };
        }
        Element(node)
    }
}

impl std::fmt::Debug for Path {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The index names the member, and so do the siblings.
        f.write_str("Path")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(number: u64) -> Element {
        Element(Base::from(1000 + number))
    }

    fn group_of(size: u64) -> Group {
        let mut group = Group::new();
        group.append_all((0..size).map(leaf)).unwrap();
        group
    }

    #[test]
    fn every_path_leads_to_the_root() {
        for size in [1, 2, 3, 4, 5, 8, 13] {
            let group = group_of(size);
            for index in 0..size {
                let path = group.path(index as u32).unwrap();
                assert_eq!(path.root(leaf(index)), group.root());
                assert_ne!(path.root(leaf(index + 1)), group.root());
                assert_eq!(group.path_of(leaf(index)), Some(path));
            }
            assert_eq!(group.path(size as u32), None);
        }
    }

    #[test]
    fn one_by_one_and_all_at_once_give_the_same_tree() {
        let mut one_by_one = Group::new();
        for number in 0..11 {
            assert_eq!(one_by_one.append(leaf(number)), Ok(number as u32));
            assert_eq!(one_by_one.root(), group_of(number + 1).root());
        }
        let mut in_two_parts = group_of(6);
        in_two_parts.append_all((6..11).map(leaf)).unwrap();
        assert_eq!(in_two_parts.root(), one_by_one.root());
    }

    #[test]
    fn empty_places_hash_as_if_they_were_there() {
        let mut node = Base::zero();
        for _ in 0..DEPTH {
            node = poseidon::node(node, node);
        }
        assert_eq!(Group::new().root(), Element(node));

        let mut padded = group_of(3);
        padded.append_all([Element(Base::zero()); 2]).unwrap();
        assert_eq!(padded.root(), group_of(3).root());
    }
}
