//! A network as TensorBoard's graphs have it: operations whose names are paths through scopes.

use std::collections::BTreeMap;

/// The tree of scopes and operations, from the top to the bottom.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Graph {
    pub rows: Vec<Row>,
    /// All operations.
    pub operations: usize,
    /// Operations that are not among the rows.
    pub left_out: usize,
}

/// A scope or an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    pub depth: usize,
    pub name: String,
    /// What it does, of what shape that is, and what it takes; empty for a scope.
    pub what: String,
    /// Operations inside.
    pub inside: usize,
}

/// An operation.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    pub name: String,
    pub op: String,
    pub shape: String,
    /// The first ones.
    pub inputs: Vec<String>,
    /// How many more it takes.
    pub more_inputs: usize,
}

/// Operations that are kept, and rows of the tree.
pub const MOST: usize = 20_000;
/// Scopes within scopes; what lies deeper stands on the deepest one.
const DEEPEST: usize = 24;
/// Inputs that are told of an operation.
pub const INPUTS: usize = 4;

#[derive(Default)]
struct Scope {
    below: BTreeMap<String, Scope>,
    what: String,
    inside: usize,
}

impl Graph {
    /// `more` operations are known only by their number.
    pub fn of(nodes: &[Node], more: usize) -> Self {
        let (mut top, mut rows) = (Scope::default(), 0);
        let mut left_out = more;
        for node in nodes {
            // Its scopes take rows, too.
            if rows + DEEPEST > MOST {
                left_out += 1;
                continue;
            }
            let mut scope = &mut top;
            let name = node.name.trim_matches('/');
            for part in name.splitn(DEEPEST, '/') {
                scope.inside += 1;
                scope = scope.below.entry(part.to_string()).or_insert_with(|| {
                    rows += 1;
                    Scope::default()
                });
            }
            scope.what = told(node);
        }
        let mut graph = Self { rows: Vec::new(), operations: nodes.len() + more, left_out };
        graph.put(top, 0);
        graph
    }

    fn put(&mut self, scope: Scope, depth: usize) {
        for (name, below) in scope.below {
            let (what, inside) = (below.what.clone(), below.inside);
            self.rows.push(Row { depth, name, what, inside });
            self.put(below, depth + 1);
        }
    }

    /// How many levels it has.
    pub fn levels(&self) -> usize {
        self.rows.iter().map(|row| row.depth + 1).max().unwrap_or(0)
    }
}

fn told(node: &Node) -> String {
    let scope = node.name.rsplit_once('/').map_or("", |(scope, _)| scope);
    // Neighbours go by their last names.
    let near = |input: &String| {
        let name = input.strip_prefix(scope).and_then(|rest| rest.strip_prefix('/'));
        name.unwrap_or(input).to_string()
    };
    let mut inputs: Vec<String> = node.inputs.iter().map(near).collect();
    if node.more_inputs > 0 {
        inputs.push(format!("and {} more", node.more_inputs));
    }
    let mut parts = vec![node.op.clone(), node.shape.clone()];
    if !inputs.is_empty() {
        parts.push(format!("of {}", inputs.join(", ")));
    }
    parts.retain(|part| !part.is_empty());
    parts.join("  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_stand_below_their_scopes() {
        let node = |name: &str, op: &str, inputs: &[&str]| Node {
            name: name.into(),
            op: op.into(),
            inputs: inputs.iter().map(|s| s.to_string()).collect(),
            ..Node::default()
        };
        let nodes = [
            node("net/fc/add", "add", &["net/fc/mul", "input"]),
            node("net/fc/mul", "mul", &[]),
            node("input", "IO Node", &[]),
        ];
        let graph = Graph::of(&nodes, 0);
        let rows = graph.rows.iter().map(|r| (r.depth, r.name.as_str(), r.what.as_str(), r.inside));
        let expected = [
            (0, "input", "IO Node", 0),
            (0, "net", "", 2),
            (1, "fc", "", 2),
            (2, "add", "add  of mul, input", 0),
            (2, "mul", "mul", 0),
        ];
        assert_eq!(rows.collect::<Vec<_>>(), expected);
        assert_eq!(graph.levels(), 3);
    }
}
