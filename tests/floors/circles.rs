//! Circles in a graph.

use std::collections::{BTreeMap, BTreeSet};

/// The sets of nodes that reach each other, sorted; a node alone is none.
pub(crate) fn circles<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>) -> Vec<BTreeSet<&'a str>> {
    let reached: BTreeMap<_, _> = edges.keys().map(|node| (*node, reached(edges, node))).collect();
    let mut found = BTreeSet::new();
    for (node, to) in &reached {
        let circle: BTreeSet<_> =
            to.iter().copied().filter(|other| reached.get(other).is_some_and(|back| back.contains(node))).collect();
        if circle.len() > 1 {
            found.insert(circle);
        }
    }
    found.into_iter().collect()
}

fn reached<'a>(edges: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &'a str) -> BTreeSet<&'a str> {
    let (mut found, mut next) = (BTreeSet::new(), vec![from]);
    while let Some(node) = next.pop() {
        next.extend(edges.get(node).into_iter().flatten().copied().filter(|to| found.insert(*to)));
    }
    found
}

#[test]
fn finds_each_circle_whole() {
    let edges = [("a", "b"), ("b", "c d"), ("c", "a"), ("d", "e"), ("e", "d"), ("f", "a f"), ("g", "")];
    let edges = edges.map(|(from, to)| (from, to.split_whitespace().collect())).into_iter().collect();
    assert_eq!(circles(&edges), [BTreeSet::from(["a", "b", "c"]), BTreeSet::from(["d", "e"])]);
}
