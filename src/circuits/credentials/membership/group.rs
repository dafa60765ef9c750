//! The tree of a group: leaves in the order in which they joined, empty places behind them.
//!
//! Only what is not an empty subtree is kept, so a group of n members takes about 2n elements. An
//! empty place is the element 0, which is no identity's commitment: nobody knows what hashes to 0.

use std::sync::LazyLock;

use super::{DEPTH, Element};
use crate::circuits::credentials::{Base, poseidon};

/// The root of an empty subtree of each height.
static EMPTY: LazyLock<[Base; DEPTH + 1]> = LazyLock::new(|| {
    let mut node = Base::zero();
    std::array::from_fn(|height| {
        if height > 0 {
            node = poseidon::node(node, node);
        }
        node
    })
});

/// A group has no place left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the group is full: it has 2^32 members")]
pub struct GroupFull;

/// The members of a group, as their commitments: a Merkle tree of depth [`DEPTH`].
#[derive(Debug, Clone)]
pub struct Group {
    /// Level 0 has the leaves, level 32 the root. A level ends where only empty subtrees follow.
    levels: [Vec<Base>; DEPTH + 1],
}

impl Group {
    /// A group without members.
    pub fn new() -> Self {
        Group { levels: std::array::from_fn(|_| Vec::new()) }
    }

    /// Adds a member; returns its index.
    ///
    /// # Errors
    /// When there is no place left; nothing is added then.
    pub fn append(&mut self, commitment: Element) -> Result<u32, GroupFull> {
        let index = u32::try_from(self.len()).map_err(|_| GroupFull)?;
        self.append_all([commitment])?;
        Ok(index)
    }

    /// Adds members; costs about one hash each, and 32 once.
    ///
    /// # Errors
    /// When there is not enough place; nothing is added then.
    pub fn append_all(&mut self, commitments: impl IntoIterator<Item = Element>) -> Result<(), GroupFull> {
        let first = self.len();
        self.levels[0].extend(commitments.into_iter().map(|commitment| commitment.0));
        if self.len() as u64 > 1 << DEPTH {
            self.levels[0].truncate(first);
            return Err(GroupFull);
        }
        self.rehash(first);
        Ok(())
    }

    /// Number of members.
    pub fn len(&self) -> usize {
        self.levels[0].len()
    }

    /// Whether there is no member.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The root.
    pub fn root(&self) -> Element {
        Element(self.node(DEPTH, 0))
    }

    /// The path of the member at `index`.
    pub fn path(&self, index: u32) -> Option<Path> {
        self.levels[0].get(index as usize)?;
        let sibling = |height: usize| self.node(height, (index as usize >> height) ^ 1);
        Some(Path { index, siblings: std::array::from_fn(|height| Element(sibling(height))) })
    }

    /// The path of the member with that commitment, of its first place if it has several. Looks at
    /// every member.
    pub fn path_of(&self, commitment: Element) -> Option<Path> {
        let index = self.levels[0].iter().position(|leaf| *leaf == commitment.0)?;
        self.path(u32::try_from(index).ok()?)
    }

    /// The node at a height, counted from the left.
    fn node(&self, height: usize, index: usize) -> Base {
        self.levels[height].get(index).copied().unwrap_or(EMPTY[height])
    }

    /// Computes every node that has a leaf from `first` on below it.
    fn rehash(&mut self, first: usize) {
        for height in 0..DEPTH {
            let parents = self.levels[height].len().div_ceil(2);
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

/// The way from a leaf to the root. Says who a member is: keep it as secret as that is.
#[derive(Clone, PartialEq, Eq)]
pub struct Path {
    /// The index of the leaf.
    pub index: u32,
    /// The siblings, the leaf's own first.
    pub siblings: [Element; DEPTH],
}

impl Path {
    /// The root that the path leads to from `leaf`.
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
